"""Generates the stubs of the contract as any user would: grpc_tools.protoc.

They go to target/python-stubs, or where is said, which is put on sys.path. Generated anew at
every run, so that they are always those of the proto files at hand.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def generate(out=ROOT / "target" / "python-stubs"):
    """Generates all stubs, or raises with what is wrong. Processes that do so at
    the same time need folders of their own."""
    try:
        import grpc_tools
        from grpc_tools import protoc
    except ImportError as error:
        raise RuntimeError("grpcio-tools is missing; run tests/tools/install") from error
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    roots = [ROOT / "proto", Path(__file__).parent / "protos"]
    files = [*(ROOT / "proto").glob("unstale/v1/*.proto"), *roots[1].glob("*.proto")]
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", *(f"-I{path}" for path in [*roots, well_known])]
    arguments += [f"--python_out={out}", f"--grpc_python_out={out}", *map(str, files)]
    if protoc.main(arguments) != 0:
        raise RuntimeError(f"protoc failed on {[file.name for file in files]}")
    # Packages of their own: the SDK for Python, where it is installed, is called
    # unstale as well.
    for package in ("unstale", "unstale/v1"):
        (out / package / "__init__.py").touch()
    sys.path.insert(0, str(out))
    if "unstale" in sys.modules:  # Its pytest plugin has been loaded.
        sys.modules["unstale"].__path__.append(str(out / "unstale"))
