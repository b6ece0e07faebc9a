#!/bin/sh
# Prints the path of a Python that can carry Parlour: 3.11 or newer, with its venv module.
# Each candidate is asked itself, since a name on the PATH may be a shim with nothing behind it.
without_venv=""
for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3 /usr/local/bin/python3; do
    version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2]) if sys.version_info >= (3, 11) else None' 2>/dev/null)
    case "$version" in "" | None) continue ;; esac
    if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
        "$name" -c 'import sys; print(sys.executable)'
        exit 0
    fi
    without_venv="$version"
done
if [ -n "$without_venv" ]; then
    echo "Python $without_venv is here, but without its venv module. On Debian or Ubuntu:" >&2
    echo "    apt install python3-venv        (or python$without_venv-venv)" >&2
else
    echo "Parlour needs Python 3.11 or newer with its venv module, and none was found. One of these brings it:" >&2
    echo "    apt install python3 python3-venv     dnf install python3.12     brew install python" >&2
fi
exit 1
