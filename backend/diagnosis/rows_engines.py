"""What only one engine says: LMDeploy, XTuner, OpenCompass, Lagent."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import CONSEQUENCE, Row, command, environment, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "lmdeploy_command_gone",
        (
            "…lmdeploy: error: argument command: invalid choice: '<command:quoted>'",
            "…lmdeploy serve: error: argument <which:quoted>: invalid choice: '<command:quoted>'",
            "…lmdeploy lite: error: argument <which:quoted>: invalid choice: '<command:quoted>'",
        ),
        N_("This version of LMDeploy no longer has that command."),
        (
            text(N_("Converting is no longer needed: api_server and chat read the model folder as it is.")),
            text(N_("Instead of the page of gradio use the chat of TuneDeck.")),
        ),
        told=N_("This version of LMDeploy no longer has the command {command}."),
        weight=2,
        about=("lmdeploy", "serve", "quantize"),
        server="engine_settings_bad",
    ),
    Row(
        "calibration_set_gone",
        ("…argument --calib-dataset: invalid choice: '<dataset:quoted>'",),
        N_("This version of LMDeploy does not know that dataset for the calibration."),
        (F.LOCAL_CALIBRATION, spec("calib_dataset", N_("Choose wikitext2."), "wikitext2")),
        told=N_("This version of LMDeploy does not know the dataset {dataset} for the calibration."),
        weight=3,
        about=("lmdeploy", "quantize"),
        server="engine_settings_bad",
    ),
    Row(
        "calibration_too_short",
        ("…random.randint(0, trainenc.input_ids.shape[1] - seqlen)……empty range",),
        N_("The text for the calibration is shorter than the length that was asked for."),
        (
            spec("calib_seqlen", N_("Use a shorter length for the calibration."), 512),
            text(N_("Or take more rows for the calibration.")),
        ),
        even=("code",),
        about=("lmdeploy", "quantize"),
    ),
    Row(
        "quantization_kind_unknown",
        ("…quantification and calibration of <kind:name> are not supported",),
        N_("LMDeploy cannot quantize this kind of model."),
        (
            text(N_("Quantize it with llm-compressor, which takes any kind that transformers knows.")),
            spec("model", N_("Choose a model of another kind, such as Llama, Qwen or InternLM.")),
        ),
        told=N_("LMDeploy cannot quantize this kind of model ({kind})."),
        about=("lmdeploy", "quantize"),
    ),
    Row(
        "quantization_not_a_number",
        ("…assert torch.isnan(p).sum() == 0", "…quantized weights contain nan"),
        N_(
            "The quantization met values that are no numbers: float16 is too small for some of the model's activations."
        ),
        (
            spec("dtype", N_("Use bfloat16 instead of float16, where the GPU can."), "bfloat16"),
            F.LOCAL_CALIBRATION,
            spec("calib_samples", N_("Quantize without calibration."), 0),
        ),
        even=("code",),
        about=("lmdeploy", "quantize"),
    ),
    Row(
        "engine_settings_refused",
        (
            "lmdeploy: error: ",
            "lmdeploy<command:rest>: error: ",
            "…unrecognized arguments: ",
            "AssertionError: invalid <setting:name>",
            "…<Engine> check failed",
            "…invalid quant_policy",
        ),
        N_("The engine did not take its settings: a name or a value is unknown to this version."),
        (
            F.REMAKE,
            text(N_("Compare the command in the log with the engine's own help (--help).")),
        ),
        server="engine_settings_bad",
    ),
    Row(
        "parser_unknown",
        (
            "The tool parser <parser:name> is not in the parser list",
            "The reasoning parser <parser:name> is not in the parser list",
        ),
        N_("The engine does not know the parser that was chosen."),
        (spec("tool_call_parser", N_("Choose another parser, or none."), ""),),
        told=N_("The engine does not know the parser {parser}."),
        about=("lmdeploy", "serve"),
        server="engine_parser_unknown",
    ),
    Row(
        "engine_process_died",
        (
            "…engine process is not alive",
            "…RPCServerDeadError",
            "…A process in the process pool was terminated abruptly",
            "…WorkerCrashedError",
            "…The actor died unexpectedly",
        ),
        N_("A process of the engine ended without a word."),
        (
            text(N_("Look in the log above for the error of that process.")),
            command("free -h", N_("Shows how much main memory is free.")),
        ),
        level=CONSEQUENCE,
        server="engine_part_died",
    ),
    Row(
        "xtuner_patch_missing",
        ("…module 'torch.cpu' has no attribute 'is_bf16_supported'",),
        N_("XTuner runs here without a GPU, and the small additions that it needs for that are not loaded."),
        (environment(N_("Make the environment of XTuner again: TuneDeck adds them."), "xtuner"),),
        weight=2,
        about=("xtuner", "finetune"),
    ),
    Row(
        "config_unknown_class",
        ("…<class:quoted> is not in the <registry:name> registry", "…Cannot find the config"),
        N_("The configuration names a part that this version of the engine does not have."),
        (
            environment(N_("Make the engine's environment again: configuration and version must belong together.")),
            text(N_("Start the run from TuneDeck: it writes a configuration for the installed version.")),
        ),
        told=N_("The configuration names {class}, which this version of the engine does not have."),
        about=("xtuner", "opencompass", "finetune", "evaluate"),
    ),
    Row(
        "evaluation_file_missing",
        (
            "…No such file or directory: '<path:quoted>_dev.csv'",
            "…No such file or directory: '<path:quoted>_val.csv'",
            "…No such file or directory: '<path:quoted>_test.csv'",
        ),
        N_("A file of the question set is missing; without it OpenCompass stops for all subjects."),
        (
            text(N_("Copy the missing file to its place: for each subject there are dev, val and test.")),
            spec("subjects", N_("Choose only subjects whose files are there.")),
        ),
        told=N_("A file of the question set is missing: {path}_…; without it OpenCompass stops for all subjects."),
        weight=2,
        about=("opencompass", "evaluate"),
    ),
    Row(
        "evaluation_task_failed",
        (
            "…task <task:rest> fail, see",
            "…No predictions found",
            "…failed with code <code:num>$",
        ),
        N_("A part of the evaluation failed, and OpenCompass went on without it: its cells stay empty."),
        (
            text(N_("The reason stands at the end of the file that this line names, below logs/infer or logs/eval.")),
            command("tail -n 30 outputs/*/*/logs/*/*/*.out", N_("Shows the ends of these files.")),
        ),
        level=CONSEQUENCE,
        about=("opencompass", "evaluate"),
    ),
    Row(
        "tool_arguments_bad",
        ("…ActionStatusCode.ARGS_ERROR", "…ARGS_ERROR: -1001"),
        N_("The model called a tool with arguments that are no JSON or miss a field, so that it was not run."),
        (
            spec("model", N_("Choose a model that was trained to use tools.")),
            text(N_("Say in the system prompt that arguments are JSON, with an example.")),
        ),
        about=("lagent", "agent"),
    ),
    Row(
        "tool_failed",
        ("…ActionStatusCode.API_ERROR", "…ActionStatusCode.HTTP_ERROR", "…API_ERROR: -1002"),
        N_("A tool was called and failed itself."),
        (text(N_("Try the tool alone; if it needs the network, this machine may have none.")),),
        about=("lagent", "agent"),
    ),
    Row(
        "no_tool_called",
        ("…type='NoAction'", '…"type": "NoAction"'),
        N_("The model answered in prose instead of calling a tool."),
        (
            spec("model", N_("Choose a model that was trained to use tools.")),
            text(N_("Set the tool parser of its server: without it the call stays text.")),
        ),
        level=CONSEQUENCE,
        about=("lagent", "agent"),
    ),
)
