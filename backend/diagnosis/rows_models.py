"""Model folders: configuration, weights, checkpoints, architectures, program code."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import Row, command, environment, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "model_folder_missing",
        (
            "…Repo id must be in the form 'repo_name' or 'namespace/repo_name': '<path:quoted>'",
            "…HFValidationError",
            "…Incorrect path_or_model_id: '<path:quoted>'",
        ),
        N_("There is no model folder at the path that was given."),
        (F.CHECK_PATH, spec("model", N_("Choose a model of the list."))),
        told=N_("There is no model folder at {path}."),
        weight=1,
        server="engine_weights_bad",
    ),
    Row(
        "model_config_missing",
        (
            "…Unrecognized model in <path:name>. Should have a `model_type` key",
            "…Should have a `model_type` key in its config.json",
            "…does not appear to have a file named config.json",
        ),
        N_("The folder is no model folder: there is no config.json in it that names a kind of model."),
        (F.CHECK_PATH, F.GET_AGAIN),
        weight=2,
        server="engine_architecture_unknown",
    ),
    Row(
        "model_config_broken",
        ("…It looks like the config file at '<path:quoted>' is not a valid JSON file",),
        N_("The config.json of the model cannot be read."),
        (F.GET_AGAIN,),
        told=N_("The file {path} cannot be read: it is no valid JSON."),
        weight=1,
        server="engine_weights_bad",
    ),
    Row(
        "weights_missing",
        (
            "…Error no file named",
            "…does not appear to have a file named <file:name>",
            "…Failed to find valid checkpoint",
            "…No such file or directory: '<path:quoted>.safetensors'",
            '…No such file or directory: "<path:quoted>.safetensors"',
            "…No such file or directory: <path:name>.safetensors",
            "…No such file or directory: '<path:quoted>.bin'",
            "…No such file or directory: '<path:quoted>/config.json'",
            "…No such file or directory: '<path:quoted>/tokenizer.json'",
            "…No such file or directory: '<path:quoted>.index.json'",
        ),
        N_("Files of the model are missing in its folder."),
        (F.GET_AGAIN, F.CHECK_PATH),
        weight=1,
        server="engine_weights_bad",
    ),
    Row(
        "weights_not_real",
        (
            "…deserializing header: header too large",
            "…HeaderTooLarge",
            "…deserializing header: invalid",
            "…InvalidHeader",
            "…HeaderTooSmall",
            "…git-lfs.github.com/spec",
        ),
        N_("A weights file is not one: most often only a git-lfs pointer or an error page was saved under its name."),
        (
            command(
                "git lfs install && git lfs pull", N_("Fetches the real files, in the folder that was cloned with git.")
            ),
            command("ls -l *.safetensors", N_("Shows the sizes: a pointer has some hundred bytes.")),
            F.GET_AGAIN,
        ),
        server="engine_weights_bad",
    ),
    Row(
        "weights_cut_off",
        ("…incomplete metadata, file not fully covered", "…MetadataIncompleteBuffer", "…incomplete metadata"),
        N_("A weights file is cut off: its download or copy stopped in the middle."),
        (F.GET_AGAIN, F.FREE_DISK),
        server="engine_weights_bad",
    ),
    Row(
        "weights_do_not_fit",
        (
            "…size mismatch for <layer:name>: ",
            "…| MISMATCH | Reinit due to size mismatch",
            "…Missing key(s) in state_dict",
            "Missing key: ",
            "missing and unexpected",
            "KeyError: '<tensor:weight>'",
            "…Error(s) in loading state_dict for",
            "Unable to load weights",
        ),
        N_("The weights do not belong to this model: tensors have other sizes or names than its configuration says."),
        (
            F.OTHER_BASE,
            text(
                N_(
                    "Was the tokenizer extended, or an adapter made with another rank? Then use exactly the base model of then."
                )
            ),
            F.GET_AGAIN,
        ),
        server="engine_weights_bad",
    ),
    Row(
        "vocabulary_mismatch",
        (
            "…size mismatch for …embed_tokens",
            "…size mismatch for …lm_head",
            "…size mismatch for …wte.weight",
            "…embed_tokens.weight | MISMATCH",
            "…lm_head.weight | MISMATCH",
        ),
        N_("Model and tokenizer are not of the same size: the tables of tokens have other numbers of rows."),
        (
            F.OTHER_BASE,
            text(N_("Use the tokenizer that came with the model; tokens that were added must be added to both.")),
        ),
        weight=1,
        server="engine_weights_bad",
    ),
    Row(
        "checkpoint_refused",
        ("…Weights only load failed", "…WeightsUnpickler error"),
        N_("torch refuses to load this checkpoint, because it holds more than numbers and could run programs."),
        (
            text(N_("If it is a checkpoint that your own job wrote, resume that job here: for these it is allowed.")),
            command(
                "export TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1",
                N_("Loads it all the same; only for files that you made yourself. Start the job from that shell."),
            ),
        ),
        weight=1,
    ),
    Row(
        "pickle_refused",
        ("…Due to a serious vulnerability issue in `torch.load`", "…require users to upgrade torch to at least v2.6"),
        N_("The weights are pickled files, which could run programs when they are loaded; they are refused."),
        (text(N_("Get the same model in safetensors format.")), F.REMAKE),
        weight=1,
    ),
    Row(
        "checkpoint_damaged",
        ("…PytorchStreamReader failed", "…invalid load key, '", "…UnpicklingError: ", "…EOFError: Ran out of input"),
        N_("A checkpoint or weights file is damaged or cut off."),
        (text(N_("Take the checkpoint before it.")), F.GET_AGAIN, F.FREE_DISK),
        server="engine_weights_bad",
    ),
    Row(
        "architecture_unknown",
        (
            "…has model type `<kind:quoted>` but Transformers does not recognize this architecture",
            "…Can not found rewrite for",
            "…support has been removed from LMDeploy",
            "…turbomind does not support",
            "Unrecognized configuration class",
            "Unrecognized model",
            "…no valid parallel config",
            "KeyError: '<kind:class>'",
            "Unsupported model",
            "Unsupported architecture",
        ),
        N_("The engine does not know this kind of model."),
        (
            spec("backend", N_("Choose the PyTorch core."), "pytorch"),
            F.OTHER_ENGINE,
            F.NEWER_ENGINE,
        ),
        told=N_("The engine does not know this kind of model ({kind})."),
        server="engine_architecture_unknown",
    ),
    Row(
        "needs_program_code",
        (
            "…contains custom code which must be executed",
            "…requires you to execute the <file:name> file",
            "…option `trust_remote_code=True",
            "…argument `trust_remote_code=True`",
        ),
        N_("The model brings program code of its own, and running it is not allowed."),
        (
            text(N_("Look at its code in the model's details on the Models page, and allow it there if you trust it.")),
            text(N_("Or choose a model that needs none.")),
        ),
        weight=1,
        server="engine_needs_code",
    ),
    Row(
        "loaded_nothing_to_device",
        ("…Cannot copy out of meta tensor; no data", "…Some modules are dispatched on the CPU or the disk"),
        N_("The model did not fit into the GPU memory, and parts of it were left out."),
        (F.FOUR_BIT, F.OTHERS, environment(N_("Use an engine that shares a model among several GPUs."), "lmdeploy")),
    ),
)
