"""Fixes that several rows share."""

from __future__ import annotations

from backend.diagnosis.row import command, environment, setting, spec, text
from backend.i18n import N_

REMAKE = environment(N_("Make the environment of this engine again on the Environments page."))
REMAKE_CUDA = environment(N_("Make the environment again; on a machine with a GPU it gets the packages for CUDA."))
NVIDIA_SMI = command("nvidia-smi", N_("Shows whether the driver works, and which version it is."))
ASK_ADMIN_DRIVER = text(N_("Ask whoever looks after this machine for a newer NVIDIA driver."))
OTHERS = command("nvidia-smi", N_("Shows who else uses the GPU memory. Wait for them, or stop your own servers first."))
STOP_SERVERS = text(N_("Stop model servers and jobs that you do not need just now."))
SMALLER_BATCH = spec("batch_size", N_("Use a smaller batch and more accumulation steps."), 1)
SHORTER = spec("max_length", N_("Use a shorter maximum length of the rows."))
SHORTER_CONTEXT = spec("context_length", N_("Use a shorter context length."))
FOUR_BIT = spec("method", N_("Load the base model in 4 bit (QLoRA)."), "qlora")
LESS_CACHE = spec("cache_max_entry_count", N_("Give the KV cache a smaller share of the memory."), 0.4)
ON_CPU = spec("device", N_("Run it on the CPU; it is slower, and works without a GPU."), "cpu")
WITH_TRANSFORMERS = spec("engine", N_("Use the engine transformers, which also works without a GPU."), "transformers")
FREE_DISK = command("df -h . /tmp ~/.cache", N_("Shows which disk is full."))
MAKE_ROOM = text(N_("Delete finished jobs and models that you no longer need, then start it again."))
MIRROR = setting("hubs", N_("Set a mirror of the hub in the settings, or choose the other hub."))
PROXY = setting(
    "proxy", N_("Set the proxy of your network in the environment: HTTPS_PROXY, and NO_PROXY=127.0.0.1,localhost.")
)
INDEX = setting("index", N_("Set a package index or mirror that this machine can reach."))
BUNDLE = text(N_("Without a network: make a bundle of the packages on another machine and install from it."))
TOKEN = setting("hub_token", N_("Enter an access token of the hub in the settings."))
GET_FIRST = text(
    N_("Get the model or dataset onto this machine first, on the Models or Datasets page, and use its folder.")
)
GET_AGAIN = text(N_("Check the model's card on the Models page, then download or copy it again."))
CHECK_PATH = text(N_("Check the path: it must exist on this server, not on your own computer."))
OTHER_BASE = spec("model", N_("Choose the model for which it was made."))
NEWER_ENGINE = environment(N_("Make the engine's environment again with a newer version of the engine."))
OTHER_ENGINE = spec("engine", N_("Choose another engine for this model."))
OWN_TEMPLATE = spec("chat_template", N_("Leave the chat template empty, so that the model's own is used."), "")
SET_TEMPLATE = text(N_("Choose a chat template for the model on the Models page."))
DOCTOR = text(N_("Look at the checks of this machine on the Environments page."))
RESUME = text(N_("Resume the job: it goes on from its last checkpoint."))
FEWER = text(N_("Let fewer programs run at the same time."))
DATA_DOCTOR = text(N_("Check the rows on the Datasets page: it names the ones that do not fit."))
LOCAL_DISK = setting("workspace", N_("Put the workspace on a local disk: set TUNEDECK_WORKSPACE."))
LOCAL_CALIBRATION = spec(
    "calibration", N_("Take rows of your own for the calibration instead of a dataset from a hub.")
)
ONE_GPU = spec("tp", N_("Use one GPU."), 1)
