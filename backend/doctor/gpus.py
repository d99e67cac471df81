"""GPUs and their driver: whether they answer, what they can compute, how healthy they are, and in which modes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from backend.doctor import cards, facts
from backend.doctor.cards import Card
from backend.doctor.findings import Finding, Fix, Text, attention, bad, check, ok, say, unknown
from backend.doctor.here import Here
from backend.i18n import N_

NVIDIA = "0x10de"
PROHIBITED = 2
MODES = {1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}


@check("gpu_driver", N_("NVIDIA driver"))
def driver(here: Here) -> Iterator[Finding]:
    found = cards.survey(here)
    if found.kind == "failed":
        yield bad(
            say(N_("The driver says: {problem}"), problem=found.problem),
            meaning=say(N_("No GPU can be used. After an update of the driver this lasts until a restart.")),
            fixes=[Fix(say(N_("Restart this machine, or ask who looks after it.")), command="nvidia-smi")],
        )
    elif found.kind == "ok":
        kinds = Counter(card.name for card in found.answering)
        yield ok(
            say(N_("Driver {version}, for CUDA up to {cuda}."), version=found.driver or "?", cuda=_dotted(found.cuda)),
            *(say(N_("{count} × {name}"), count=str(count), name=name) for name, count in kinds.items()),
        )
    elif _hardware(here):
        command = "docker run --gpus all ..." if here.containers else "sudo ubuntu-drivers install"
        yield bad(
            say(N_("An NVIDIA GPU is built in, but its driver is not loaded here.")),
            meaning=say(N_("Everything computes on the processor, which is many times slower.")),
            fixes=[
                Fix(say(N_("Start the container with its GPUs.")), command=command)
                if here.containers
                else Fix(say(N_("Have the driver installed, then restart this machine.")), command=command)
            ],
        )
    else:
        yield ok(
            say(N_("There is no NVIDIA GPU.")),
            meaning=say(N_("Small models run on the processor. LMDeploy does not, and larger models are slow.")),
        )


@check("gpu_lost", N_("GPUs that do not answer"))
def lost(here: Here) -> Iterator[Finding]:
    found = cards.survey(here)
    gone = [card for card in found.cards if card.lost]
    if gone:
        yield bad(
            *(say(N_("GPU {index}: {problem}"), index=str(card.index), problem=card.lost) for card in gone),
            meaning=say(
                N_("The card fell off the bus, from heat, a fault, or a driver that crashed. Its jobs are dead.")
            ),
            fixes=[
                Fix(
                    say(N_("See what the kernel says, then have this machine restarted.")),
                    command="sudo dmesg | grep -i xid",
                )
            ],
        )
    elif found.cards:
        yield ok(say(N_("All {count} answer."), count=str(len(found.cards))))


@check("gpu_features", N_("What the GPUs can compute"))
def features(here: Here) -> Iterator[Finding]:
    found = cards.survey(here)
    known = [card for card in found.answering if card.capability]
    if not known:
        if found.answering:
            yield unknown(say(N_("The driver does not tell the compute capability.")))
        return
    lines: list[Text] = []
    missing: dict[str, facts.Feature] = {}
    for (name, capability), count in Counter((card.name, card.capability) for card in known).items():
        able = [feature.name for feature in facts.FEATURES if capability >= feature.since]
        unable = [feature for feature in facts.FEATURES if capability < feature.since]
        missing |= {feature.name: feature for feature in unable}
        values = {
            "count": str(count),
            "name": name,
            "capability": facts.dotted(capability),
            "able": ", ".join(able) or "-",
        }
        lines.append(say(N_("{count} × {name}, compute capability {capability}. It can: {able}."), **values))
        if unable:
            lines.append(say(N_("It cannot: {unable}."), unable=", ".join(feature.name for feature in unable)))
    worth = [feature for feature in missing.values() if feature.matters]
    if not worth:
        yield ok(*lines, meaning=Text(missing["FP8"].instead) if "FP8" in missing else None)
        return
    for feature in worth:
        lines.append(say(N_("{feature}: {instead}"), feature=feature.name, instead=Text(feature.instead)))
    yield attention(
        *lines,
        meaning=say(N_("This is how these GPUs are made. Choose models and settings that do without it.")),
    )


@check("gpu_health", N_("Health of the GPUs"))
def health(here: Here) -> Iterator[Finding]:
    answering = cards.survey(here).answering
    if not answering:
        return
    broken, hot = [], []
    for card in answering:
        index = str(card.index)
        if card.ecc:
            broken.append(say(N_("GPU {index}: {count} memory errors (ECC)."), index=index, count=str(card.ecc)))
        if card.worn:
            broken.append(say(N_("GPU {index}: worn memory, or rows that wait to be replaced."), index=index))
        if card.hot:
            hot.append(say(N_("GPU {index} slows down because of heat or power."), index=index))
    if broken:
        yield bad(
            *broken,
            *hot,
            meaning=say(N_("Results can be wrong, and jobs can crash, on a card whose memory fails.")),
            fixes=[
                Fix(
                    say(N_("Have the card reset or replaced; use the others meanwhile.")),
                    command="nvidia-smi -q -d ECC,ROW_REMAPPER",
                )
            ],
        )
    elif hot:
        yield attention(
            *hot,
            meaning=say(N_("Everything on it takes longer than it should.")),
            fixes=[
                Fix(say(N_("Ask who looks after this machine.")), command="nvidia-smi -q -d TEMPERATURE,PERFORMANCE")
            ],
        )
    elif all(card.ecc is None for card in answering):
        yield ok(say(N_("No sign of trouble; these cards do not count memory errors.")))
    else:
        yield ok(say(N_("No memory errors, no slow-down.")))


@check("gpu_modes", N_("Modes of the GPUs"))
def modes(here: Here) -> Iterator[Finding]:
    answering = cards.survey(here).answering
    found = [*_divided(answering), *_reserved(answering), *_asleep(answering)]
    if answering and not found:
        found = [ok(say(N_("All cards are whole, shared and awake.")))]
    yield from found


def _divided(answering: list[Card]) -> Iterator[Finding]:
    divided = [str(card.index) for card in answering if card.mig]
    if divided:
        yield replace(
            attention(
                say(N_("Divided into parts: GPU {list}."), list=", ".join(divided)),
                meaning=say(N_("TuneDeck hands out whole cards, and does not know the parts of a divided one.")),
                fixes=[
                    Fix(
                        say(N_("Undo the division, where nobody needs it.")),
                        command=f"sudo nvidia-smi -i {','.join(divided)} -mig 0",
                    )
                ],
            ),
            code="gpu_mig",
            title=say(N_("Divided GPUs (MIG)")),
        )


def _reserved(answering: list[Card]) -> Iterator[Finding]:
    reserved = [card for card in answering if card.mode]
    if reserved:
        judge = bad if any(card.mode == PROHIBITED for card in reserved) else attention
        yield replace(
            judge(
                *(
                    say(
                        N_("GPU {index} is in compute mode '{mode}'."),
                        index=str(card.index),
                        mode=MODES.get(card.mode or 0, "?"),
                    )
                    for card in reserved
                ),
                meaning=say(N_("Only one program at a time, or none, may compute there: sharing a card fails.")),
                fixes=[
                    Fix(
                        say(N_("Set it back.")),
                        command=f"sudo nvidia-smi -i {','.join(str(card.index) for card in reserved)} -c DEFAULT",
                    )
                ],
            ),
            code="gpu_mode",
            title=say(N_("Compute mode of the GPUs")),
        )


def _asleep(answering: list[Card]) -> Iterator[Finding]:
    asleep = [str(card.index) for card in answering if card.persistence is False]
    if asleep:
        yield replace(
            attention(
                say(N_("Persistence mode is off: GPU {list}."), list=", ".join(asleep)),
                meaning=say(N_("The driver unloads when nobody computes, so each start takes some seconds longer.")),
                fixes=[Fix(say(N_("Turn it on.")), command="sudo nvidia-smi -pm 1")],
            ),
            code="gpu_persistence",
            title=say(N_("Persistence of the GPU driver")),
        )


def _hardware(here: Here) -> bool:
    """Whether the bus has an NVIDIA display or compute card, driver or not."""
    for device in (here.root / "sys/bus/pci/devices").glob("*"):
        path = device.relative_to(here.root)
        if here.line(f"{path}/vendor") == NVIDIA and here.line(f"{path}/class").startswith("0x03"):
            return True
    return bool(here.line("proc/driver/nvidia/version"))


def _dotted(numbers: facts.Version) -> str:
    return facts.dotted(numbers) or "?"


CHECKS = (driver, lost, features, health, modes)
