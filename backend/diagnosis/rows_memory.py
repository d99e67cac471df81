"""Memory, of the GPU and of the machine, and disks. All of them draw other errors after them."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import CAUSE, Row, command, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "gpu_out_of_memory",
        (
            "CUDA out of memory. Tried to allocate <needed:size>. GPU <gpu:num> has a total capacity of <total:size> of which "
            "<free:size> is free",
            "CUDA out of memory. Tried to allocate <needed:size> (GPU <gpu:num>; <total:size> total capacity; … <free:size> free",
            "CUDA out of memory. Tried to allocate",
            "CUDA out of memory",
            "HIP out of memory",
            "…CUDA error: out of memory",
            "…CUDA runtime error: out of memory",
            "…CUDA driver error: out of memory",
            "…CUDA_ERROR_OUT_OF_MEMORY",
            "…CUBLAS_STATUS_ALLOC_FAILED",
            "torch.OutOfMemoryError: ",
            "torch.cuda.OutOfMemoryError: ",
        ),
        N_("The GPU memory was full."),
        (F.SMALLER_BATCH, F.SHORTER, F.FOUR_BIT, F.SHORTER_CONTEXT, F.OTHERS),
        told=N_("The GPU memory was full: {needed} more were asked for, and of {total} only {free} were free."),
        level=CAUSE,
        server="engine_out_of_memory",
    ),
    Row(
        "kv_cache_too_large",
        (
            "…No enough gpu memory for kv cache",
            "…No enough gpu memory for runtime",
            "…insufficient free memory for transient",
            "…cache out of memory",
            "…Check failed: max_block_count",
            "…Check failed: block_count",
            "…No enough blocks.",
            "…No available memory for the cache blocks",
        ),
        N_("Beside the weights of the model there was not enough GPU memory for the KV cache."),
        (F.SHORTER_CONTEXT, F.LESS_CACHE, spec("quant_policy", N_("Use an 8-bit KV cache."), 8), F.OTHERS),
        level=CAUSE,
        weight=2,
        about=("lmdeploy", "transformers", "serve", "benchmark"),
        server="engine_kv_cache_too_large",
    ),
    Row(
        "machine_out_of_memory",
        (
            "…DefaultCPUAllocator: can't allocate memory: you tried to allocate <needed:size>",
            "…DefaultCPUAllocator: not enough memory: you tried to allocate <needed:size>",
            "…DefaultCPUAllocator: ",
            "Unable to allocate <needed:size> for an array",
            "…std::bad_alloc",
            "…Cannot allocate memory",
            "…can't allocate memory",
            "MemoryError$",
            "MemoryError: ",
        ),
        N_("The main memory of the machine was not enough."),
        (F.STOP_SERVERS, F.SMALLER_BATCH, command("free -h", N_("Shows how much main memory is free.")), F.FEWER),
        told=N_("The main memory of the machine was not enough: {needed} were asked for at once."),
        level=CAUSE,
        server="engine_out_of_memory",
    ),
    Row(
        "oom_killer",
        (
            "…Out of memory: Killed process <pid:num> (<program:name>)",
            "…Memory cgroup out of memory",
            "…OOMKilled",
        ),
        N_("The system ended the program because the memory was used up."),
        (
            F.STOP_SERVERS,
            F.SMALLER_BATCH,
            command(
                "free -h; cat /sys/fs/cgroup/memory.max",
                N_("Shows the memory of the machine and the limit of this container."),
            ),
        ),
        told=N_("The system ended the program {program} because the memory was used up."),
        level=CAUSE,
        weight=3,
    ),
    Row(
        "shared_memory_small",
        (
            "…Bus error",
            "…SIGBUS",
            "…workers are out of shared memory",
            "…unable to open shared memory object",
            "…unable to write to file </torch_",
            "…insufficient shared memory (shm)",
            "…/dev/shm…No space left on device",
            "…No space left on device…/dev/shm",
            "…Error while creating shared memory segment",
        ),
        N_("The shared memory (/dev/shm) was too small: in a container it often has only 64 MiB."),
        (
            text(N_("Start the container with more of it, for example with --shm-size=8g.")),
            text(N_("Load the rows without helper processes.")),
            command("df -h /dev/shm", N_("Shows how much shared memory there is.")),
        ),
        level=CAUSE,
        weight=2,
        exits=(-7,),
        server="engine_no_shared_memory",
    ),
    Row(
        "disk_full",
        (
            "…No space left on device",
            "…PytorchStreamWriter failed writing file",
            "…inline_container.cc:<line:num>] . unexpected pos",
            "…database or disk is full",
            "…ENOSPC",
        ),
        N_("The disk was full."),
        (F.MAKE_ROOM, F.FREE_DISK),
        level=CAUSE,
        server="engine_no_disk",
    ),
    Row(
        "disk_quota",
        ("…Disk quota exceeded", "…EDQUOT"),
        N_("Your share of the disk (quota) is used up; the disk itself may still have room."),
        (
            F.MAKE_ROOM,
            command(
                "quota -s; du -sh ~/.cache ~/.local", N_("Shows your quota and what the caches in your home take.")
            ),
            F.LOCAL_DISK,
        ),
        level=CAUSE,
        weight=1,
        server="engine_no_disk",
    ),
    Row(
        "too_many_files",
        ("…Too many open files", "…received 0 items of ancdata"),
        N_("The program had too many files open for the limit of this account."),
        (
            command("ulimit -n 65536", N_("Raises the limit in a shell; start the panel from there.")),
            text(N_("Load the rows without helper processes.")),
        ),
        level=CAUSE,
    ),
    Row(
        "too_many_threads",
        (
            "…can't start new thread",
            "…Thread creation failed: Resource temporarily unavailable",
            "…pthread_create failed",
            "…fork: retry: Resource temporarily unavailable",
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
        ),
        N_("The limit of processes and threads of this account or container is used up."),
        (
            F.FEWER,
            command("ulimit -u; cat /sys/fs/cgroup/pids.max", N_("Shows the limits.")),
            command(
                "export OMP_NUM_THREADS=1", N_("Makes every program use one thread; start the panel from that shell.")
            ),
        ),
        level=CAUSE,
    ),
)
