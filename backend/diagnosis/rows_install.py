"""Installing: pip and uv, the index, the network, compilers."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import CONSEQUENCE, Row, command, environment, text
from backend.i18n import N_

ROWS = (
    Row(
        "index_proxy",
        (
            "…Retrying (Retry(total=…ProxyError",
            "…Cannot connect to proxy",
            "…407 Proxy Authentication Required",
            "…Tunnel connection failed: <status:num>",
        ),
        N_("The proxy that is set on this machine did not let the program through, or is not there."),
        (
            F.PROXY,
            command("env | grep -i _proxy", N_("Shows which proxy is set.")),
            command(
                "unset HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy", N_("Goes without a proxy.")
            ),
        ),
        weight=2,
        even=("quiet",),
    ),
    Row(
        "clock_wrong",
        ("…certificate is not yet valid",),
        N_("The clock of this machine is wrong: certificates of today seem to lie in the future."),
        (
            command("date", N_("Shows the time of this machine.")),
            text(N_("Ask whoever looks after this machine to set its clock.")),
        ),
        weight=4,
        even=("quiet",),
    ),
    Row(
        "certificate_refused",
        (
            "…CERTIFICATE_VERIFY_FAILED",
            "…certificate verify failed",
            "…problem confirming the ssl certificate",
            "…invalid peer certificate",
        ),
        N_(
            "The certificate of the other side is not trusted: often a company proxy, or a mirror with a certificate of its own."
        ),
        (
            command(
                "export SSL_CERT_FILE=/path/to/certificate.pem REQUESTS_CA_BUNDLE=/path/to/certificate.pem",
                N_("Trusts the certificate of your network; ask its administrator for the file."),
            ),
            F.INDEX,
        ),
        weight=3,
        even=("quiet",),
    ),
    Row(
        "index_unreachable",
        (
            "…Retrying (Retry(total=…NewConnectionError(",
            "…Retrying (Retry(total=…NameResolutionError(",
            "…Retrying (Retry(total=…ConnectTimeoutError(",
            "…Retrying (Retry(total=…ReadTimeoutError(",
            "…Retrying (Retry(total=…RemoteDisconnected(",
            "…Retrying (Retry(total=…ConnectionResetError(",
            "Could not install packages due to an OSError: HTTPSConnectionPool(",
            "…pip._vendor.urllib3.exceptions.ReadTimeoutError",
            "…pip._vendor.urllib3.exceptions.ProtocolError",
            "…Failed to fetch: `…error sending request for url",
        ),
        N_("The package index could not be reached, or the connection broke off."),
        (F.INDEX, F.PROXY, F.BUNDLE, text(N_("Start the same again: what was fetched is kept."))),
        weight=1,
        even=("quiet",),
    ),
    Row(
        "wrong_hash",
        ("…THESE PACKAGES DO NOT MATCH THE HASHES", "…Hash mismatch for `", "…HashMismatch"),
        N_("The index sent a file that is not the one that was asked for: its checksum is another."),
        (
            F.INDEX,
            command("pip cache purge", N_("Throws away what pip kept; a broken file may be among it.")),
            text(N_("If it stays so with the official index, do not install it: somebody may have changed the file.")),
        ),
        weight=2,
    ),
    Row(
        "broken_download",
        (
            "Wheel '<package:quoted>' located at",
            "…BadZipFile: File is not a zip file",
            "…BadZipFile: Bad CRC-32",
            "…Invalid wheel filename",
            "…IncompleteRead(",
        ),
        N_("A file that was downloaded is cut off or damaged."),
        (command("pip cache purge", N_("Throws away what pip kept; a broken file may be among it.")), F.REMAKE),
    ),
    Row(
        "other_python",
        ("…requires a different Python: ", "…Ignored the following versions that require a different python version"),
        N_("The package is not made for the version of Python that is used here."),
        (environment(N_("Make the environment again with a Python that the engine supports, 3.11 or 3.12.")),),
    ),
    Row(
        "no_such_package",
        (
            "No matching distribution found for <package:name>",
            "Could not find a version that satisfies the requirement <package:name>",
            "…was not found in the package registry",
        ),
        N_(
            "The index has no fitting version of a package: not for this Python, or this kind of machine, or not at all."
        ),
        (
            F.INDEX,
            F.BUNDLE,
            command("pip download --no-deps NAME==VERSION", N_("Shows what the index answers for the package.")),
        ),
        told=N_(
            "The index has no fitting version of {package}: not for this Python, or this kind of machine, or not at all."
        ),
        level=CONSEQUENCE,
    ),
    Row(
        "packages_conflict",
        (
            "…because these package versions have conflicting dependencies",
            "ResolutionImpossible",
            "…No solution found when resolving dependencies",
        ),
        N_("The packages that were asked for exclude one another."),
        (
            environment(
                N_(
                    "Give every engine an environment of its own: make it on the Environments page, with its tested versions."
                )
            ),
            text(N_("Do not install packages of two engines into one environment.")),
        ),
        weight=1,
    ),
    Row(
        "python_of_system",
        ("…externally-managed-environment", "…This environment is externally managed"),
        N_("pip was asked to change the Python of the operating system, which protects itself against that."),
        (
            environment(N_("Use an environment: the Environments page makes one for every engine.")),
            command("python3 -m venv ENV && ENV/bin/pip install NAME", N_("Makes an environment by hand.")),
        ),
    ),
    Row(
        "venv_missing",
        ("…ensurepip is not available", "…No module named ensurepip", "…No module named venv", "…No module named pip"),
        N_(
            "Parts of Python are missing on this machine: it cannot make environments (Debian and Ubuntu keep them in a package apart)."
        ),
        (
            command("sudo apt install python3-venv python3-pip", N_("Installs them; it needs an administrator.")),
            text(N_("Or choose another Python, 3.11 or 3.12.")),
        ),
        weight=2,
    ),
    Row(
        "libaio_missing",
        (
            "…cannot find -laio",
            "…libaio.h: No such file or directory",
            "…libaio.so<so:name>: cannot open shared object file",
            "…Unable to pre-compile async_io",
        ),
        N_("The library libaio is missing, which DeepSpeed uses to move data to the disk."),
        (
            command("sudo apt install libaio-dev", N_("Installs it; it needs an administrator.")),
            command("export DS_BUILD_AIO=0", N_("Builds DeepSpeed without it; the rest works.")),
        ),
        weight=2,
    ),
    Row(
        "compiler_missing",
        (
            "…command 'gcc' failed: No such file or directory",
            "…command 'x86_64-linux-gnu-gcc' failed",
            "…command 'g++' failed: No such file or directory",
            "…gcc: command not found",
            "…g++: not found",
            "…Failed to find C compiler",
            "…Python.h: No such file or directory",
            "…unable to execute 'gcc'",
        ),
        N_("A package has to be compiled here, and the compiler or the headers of Python are missing."),
        (
            command("sudo apt install build-essential python3-dev", N_("Installs them; it needs an administrator.")),
            F.REMAKE,
        ),
        weight=2,
    ),
    Row(
        "build_failed",
        (
            "Failed building wheel for <package:name>",
            "…metadata-generation-failed",
            "…Failed to build installable wheels",
            "…Could not build wheels for",
            "…Failed to build `<package:name>`",
        ),
        N_("A package had to be compiled on this machine, and that failed."),
        (
            F.REMAKE,
            text(
                N_(
                    "Look in the log above for the first line with 'error:'. Often the version has no finished package for this Python."
                )
            ),
        ),
        level=CONSEQUENCE,
        weight=1,
    ),
    Row(
        "glibc_too_old",
        (
            "…version `GLIBC_<version:name>' not found",
            "…version `GLIBCXX_<version:name>' not found",
            "…version `CXXABI_<version:name>' not found",
        ),
        N_("The operating system is older than this package needs (its C library)."),
        (
            text(N_("Use a newer system or container image, such as Ubuntu 22.04 or later.")),
            environment(N_("Or make the environment with an older version of the engine.")),
        ),
        weight=2,
        even=("quiet",),
    ),
)
