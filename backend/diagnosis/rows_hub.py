"""Models and datasets that are fetched from a hub while a job runs, and servers that are asked."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import CONSEQUENCE, Row, command, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "hub_unreachable",
        (
            "We couldn't connect to '<hub:quoted>' to load",
            "Couldn't reach '<name:quoted>' on the Hub",
            "…LocalEntryNotFoundError: ",
            "…cannot find the appropriate snapshot folder",
            "…cannot find the requested files in the local cache",
            "…MaxRetryError(\"HTTPSConnectionPool(host='huggingface.co'",
            "…HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded",
            "…HTTPSConnectionPool(host='www.modelscope.cn', port=443): Max retries exceeded",
        ),
        N_("The program wanted something from a model hub that this machine cannot reach, and does not have it here."),
        (F.GET_FIRST, F.MIRROR, F.PROXY),
        told=N_(
            "The program wanted {name} from a model hub that this machine cannot reach, and does not have it here."
        ),
    ),
    Row(
        "hub_offline",
        (
            "…(OfflineModeIsEnabled)",
            "…OfflineModeIsEnabled: ",
            "…outgoing traffic has been disabled",
            "…offline mode is enabled",
        ),
        N_("The program wanted something from a model hub, but is told to stay offline, and does not have it here."),
        (F.GET_FIRST, command("unset HF_HUB_OFFLINE TRANSFORMERS_OFFLINE", N_("Allows downloads in that shell."))),
        weight=2,
    ),
    Row(
        "calibration_unreachable",
        (
            "Couldn't reach 'ptb_text_only' on the Hub",
            "Couldn't reach 'wikitext' on the Hub",
            "Couldn't reach 'allenai/c4' on the Hub",
            "Couldn't reach 'mit-han-lab/pile-val-backup' on the Hub",
            "Couldn't reach 'Salesforce/wikitext' on the Hub",
        ),
        N_("The dataset for the calibration is fetched from a hub at run time, and this machine cannot reach it."),
        (F.LOCAL_CALIBRATION, spec("calib_samples", N_("Quantize without calibration."), 0), F.MIRROR),
        weight=3,
    ),
    Row(
        "dataset_script",
        ("…Dataset scripts are no longer supported, but found", "…`trust_remote_code` is not supported anymore"),
        N_("This dataset is a program, and the installed version of datasets runs no programs any more."),
        (
            F.LOCAL_CALIBRATION,
            text(N_("Get the dataset as JSON Lines or Parquet and use that file.")),
        ),
        weight=2,
    ),
    Row(
        "hub_gated",
        (
            "…Cannot access gated repo",
            "…You are trying to access a gated repo",
            "…GatedRepoError",
            "…401 Client Error: Unauthorized",
            "…403 Client Error: Forbidden",
            "…Access to model <repo:name> is restricted",
        ),
        N_("The hub gives this model or dataset only to people who have asked for it and are logged in."),
        (text(N_("Open its page on the hub and accept its terms.")), F.TOKEN, text(N_("Then resume the job."))),
        weight=3,
    ),
    Row(
        "hub_not_found",
        ("…RepositoryNotFoundError", "…404 Client Error", "…is not a valid model identifier listed on"),
        N_("The hub has no model or dataset of this name, or it is private."),
        (text(N_("Check the name: owner/name, as on its page.")), F.TOKEN),
        weight=1,
    ),
    Row(
        "hub_limit",
        ("…429 Client Error", "…HTTP Error 429"),
        N_("The hub refuses more requests from this address for a while."),
        (text(N_("Wait some minutes, then resume.")), F.TOKEN, F.MIRROR),
        weight=3,
    ),
    Row(
        "server_not_reached",
        (
            "…APIConnectionError: Connection error",
            "… - Connection error.$",
            "Connection error.$",
            "httpx.ConnectError: [Errno 111] Connection refused",
            "…[Errno 111] Connection refused'))",
            "ConnectionRefusedError: [Errno 111] Connection refused",
        ),
        N_("No server answered at the address that the program asked: it is not running, or at another port."),
        (
            text(N_("Start the model server on the Deploy page, and wait until it says that it is ready.")),
            spec("endpoint", N_("Correct the address of the server.")),
        ),
        level=CONSEQUENCE,
        weight=-1,
    ),
    Row(
        "server_no_such_model",
        ("…The model `<model:quoted>` does not exist", "…model_not_found", "…Error code: 404 - {"),
        N_("The server answers, but knows no model of this name; OpenCompass asks for it again and again."),
        (
            spec("model", N_("Use the name under which the server offers the model.")),
            command("curl -s http://127.0.0.1:PORT/v1/models", N_("Shows the names that the server knows.")),
        ),
        weight=1,
        even=("quiet",),
    ),
    Row(
        "server_key_refused",
        ("…Error code: 401 - {", "…AuthenticationError: Error code: 401", "…Incorrect API key provided"),
        N_("The server did not take the API key."),
        (text(N_("Make a key on the Settings page, under Access, and enter it where the program asks for one.")),),
        weight=1,
    ),
)
