"""Training: rows, schedules, gradients, and what the data loader meets."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import CONSEQUENCE, Row, command, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "data_missing",
        (
            "…Unable to find '<path:quoted>'",
            "…Couldn't find any data file at <path:name>",
            "…No such file or directory: '<path:quoted>.json'",
            "…No such file or directory: '<path:quoted>.jsonl'",
            "…No such file or directory: '<path:quoted>.parquet'",
            "…No such file or directory: '<path:quoted>.csv'",
        ),
        N_("A data file is not at the path that was given."),
        (F.CHECK_PATH, spec("dataset", N_("Choose a dataset of the list."))),
        told=N_("There is no data file at {path}."),
    ),
    Row(
        "rows_not_json",
        (
            "…JSON parse error: ",
            "ValueError: Expected object or value",
            "ValueError: Trailing data",
            "…Failed to load JSON from file",
            "json.decoder.JSONDecodeError: Extra data: line <line:num>",
            "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes",
            "json.decoder.JSONDecodeError: Expecting ',' delimiter",
            "json.decoder.JSONDecodeError: Invalid control character",
        ),
        N_("A data file is not valid JSON, or not complete."),
        (
            F.DATA_DOCTOR,
            command("python3 -m json.tool FILE > /dev/null", N_("Names the first place in a JSON file that is wrong.")),
        ),
    ),
    Row(
        "rows_differ",
        (
            "…All the data files must have the same columns",
            "…Couldn't cast array of type",
            "…() changed from <before:name> to <after:name> in row",
            "…Column() changed from",
            "…because column names don't match",
        ),
        N_("The rows do not all have the same fields, or a field has text in one row and a list in another."),
        (F.DATA_DOCTOR, text(N_("Bring all rows into one form; the Datasets page converts between the known ones."))),
    ),
    Row(
        "rows_without_conversation",
        (
            "KeyError: 'conversation'",
            "KeyError: 'messages'",
            "KeyError: \"Column 'conversation' doesn't exist",
            "…assert {'input_ids', 'labels'}.issubset(dataset.column_names)",
            "…assert 'conversation' in",
        ),
        N_("The rows have no conversation in the form that the training reads."),
        (
            F.DATA_DOCTOR,
            text(N_('XTuner wants rows with a list "conversation", each turn with "input" and "output".')),
        ),
        even=("code",),
        about=("xtuner", "finetune", "transformers"),
    ),
    Row(
        "no_rows",
        (
            "…num_samples should be a positive integer value, but got num_samples=0",
            "…Please pass `features` or at least one example when writing data",
            "…Dataset is empty",
            "…_generate_tables(……StopIteration$",
            "…the dataset is empty",
        ),
        N_("There are no rows to train with: the data file is empty, or all rows were left out."),
        (F.DATA_DOCTOR, F.CHECK_PATH),
        even=("code",),
    ),
    Row(
        "text_encoding",
        (
            "…'utf-8' codec can't decode byte <byte:name> in position <position:num>",
            "…'ascii' codec can't decode byte",
            "…'gbk' codec can't decode byte",
        ),
        N_("A text file is not in UTF-8; files from spreadsheets on Chinese Windows are often in GBK."),
        (
            command("iconv -f GB18030 -t UTF-8 OLD > NEW", N_("Writes it again in UTF-8.")),
            text(N_("Or save it in the spreadsheet as 'CSV UTF-8'.")),
        ),
    ),
    Row(
        "warmup_too_short",
        (
            "…end should be larger than begin, but got begin=<begin:num>, end=<end:num>",
            "…end should be larger than begin",
        ),
        N_("The warm-up would be shorter than one step: there are too few rows for so few epochs."),
        (
            spec("epochs", N_("Train for more epochs, or with more rows.")),
            spec("warmup_ratio", N_("Go without warm-up."), 0),
            spec("accumulation", N_("Use fewer accumulation steps, so that there are more steps."), 1),
        ),
        weight=2,
    ),
    Row(
        "nothing_to_train",
        (
            "…does not require grad and does not have a grad_fn",
            "…None of the inputs have requires_grad=True",
            "…optimizer got an empty parameter list",
        ),
        N_("Nothing can be trained: all weights are frozen, or the gradients end at a frozen layer."),
        (
            spec(
                "gradient_checkpointing",
                N_("Switch gradient checkpointing off, or let the inputs require gradients."),
                False,
            ),
            spec("target_modules", N_("Change all linear layers (all-linear)."), ["all-linear"]),
        ),
    ),
    Row(
        "token_out_of_range",
        (
            "…index out of range in self",
            "…srcIndex < srcSelectDimSize",
            "…CUDA error: device-side assert triggered",
            "…vectorized_gather_kernel: <block:rest>Assertion",
        ),
        N_("A token number is larger than the model's table of tokens, or a position lies beyond its context length."),
        (
            text(
                N_("Use the tokenizer that came with the model; tokens that were added must be added to the model too.")
            ),
            F.SHORTER,
            spec("device", N_("Run a few steps on the CPU: its message names the place."), "cpu"),
        ),
    ),
    Row(
        "loss_not_a_number",
        (
            "…loss: nan$",
            "…loss: nan grad_norm",
            "…loss: nan,",
            "…'loss': nan,",
            "…'loss': nan}",
            "…'loss': 'nan'",
            '…"loss": NaN',
            "…Minimum loss scale reached",
            "…Current loss scale already at minimum",
        ),
        N_("The loss is no number any more: the training has come apart."),
        (
            spec("learning_rate", N_("Use a smaller learning rate, a tenth of it.")),
            spec("dtype", N_("Use bfloat16 instead of float16, where the GPU can."), "bfloat16"),
            spec("warmup_ratio", N_("Use a longer warm-up."), 0.1),
            F.DATA_DOCTOR,
        ),
        level=CONSEQUENCE,
        weight=1,
        even=("quiet", "alive"),
    ),
    Row(
        "resume_nothing",
        (
            "…No valid checkpoint found in output directory",
            "…Can't find a valid checkpoint at",
            "…Cannot find the checkpoint",
        ),
        N_("There is no checkpoint to resume from: the run had saved none yet, or the folder is another."),
        (spec("start_from", N_("Leave the field empty to start anew, or name a folder with a checkpoint."), ""),),
    ),
    Row(
        "loader_died",
        (
            "…DataLoader worker (pid(s) <pid:rest>) exited unexpectedly",
            "…DataLoader worker (pid <pid:num>) is killed by signal",
        ),
        N_("A helper process that loads the rows was ended, nearly always because memory or shared memory ran out."),
        (
            text(N_("Load the rows without helper processes.")),
            F.STOP_SERVERS,
            command("free -h; df -h /dev/shm", N_("Shows how much main memory and shared memory is free.")),
        ),
    ),
    Row(
        "lengths_differ",
        (
            "…expected sequence of length <one:num> at dim <dim:num> (got <other:num>)",
            "…Unable to create tensor, you should probably activate truncation",
        ),
        N_("Rows of different length were put into one batch without being filled up to the same length."),
        (spec("batch_size", N_("Use a batch of one row."), 1), F.DATA_DOCTOR),
    ),
)
