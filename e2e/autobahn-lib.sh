# Sourced by the scripts of the Autobahn TestSuite, after lib.sh: finds a Python 2.7 and installs the suite once.
#
#   install_suite                 sets WSTEST, or exits with 77 where the suite cannot be installed

SUITE=25.10.1
WS=8.23.0

is_python27() {
    [ -n "$1" ] && "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1
}

find_python27() {
    local candidate
    for candidate in "${PY27:-}" python2.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python; do
        if is_python27 "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# The last virtualenv that can make an environment for Python 2.7 needs a Python 3 that still has what it imports.
find_python3() {
    local candidate
    for candidate in "${PY3:-}" python3 python3.11 python3.10 python3.9 python3.8; do
        if [ -n "$candidate" ] && "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

install_suite() {
    local dir=$CACHE/autobahn-$SUITE python2 python3
    WSTEST=$dir/suite/bin/wstest
    [ -e "$dir/complete" ] && "$WSTEST" --help >/dev/null 2>&1 && return 0
    python2=$(find_python27) || skip "no Python 2.7 (set PY27), which the Autobahn TestSuite runs on"
    python3=$(find_python3) || skip "no Python 3 with venv and pip to install the Autobahn TestSuite with"
    echo "installing Autobahn TestSuite $SUITE for $("$python2" --version 2>&1)"
    rm -rf "$dir"
    mkdir -p "$dir"
    if ! {
        "$python3" -m venv "$dir/tool" &&
            "$dir/tool/bin/pip" install -q 'virtualenv==20.15.1' 'setuptools<81' &&
            "$dir/tool/bin/python" -m virtualenv -q -p "$python2" "$dir/suite" &&
            "$dir/suite/bin/pip" install -q --no-python-version-warning "autobahntestsuite==$SUITE"
    } >"$WORK/install.log" 2>&1 </dev/null; then
        tail -n 20 "$WORK/install.log"
        skip "the Autobahn TestSuite cannot be installed here"
    fi
    touch "$dir/complete"
}
