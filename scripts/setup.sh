#!/usr/bin/env bash
# Installs what is missing through apt: scripts/setup.sh [build|oracle|demo|lint|sanitize]...  (default: build).
# Where it may not install (neither root nor `sudo -n`), it says what it would run and fails if something needed is missing.
set -euo pipefail

# One line a need: GROUP NEEDED|optional CHECK PACKAGE. CHECK is a command, a header under the include folders, or a whole path.
needs='
build     needed    g++                      g++
build     needed    cmake                    cmake
build     needed    ninja                    ninja-build
build     needed    pkg-config               pkg-config
build     needed    python3                  python3
build     needed    git                      git
build     needed    nlohmann/json.hpp        nlohmann-json3-dev
build     needed    toml++/toml.h            libtomlplusplus-dev
build     needed    CLI/CLI.hpp              libcli11-dev
build     needed    fmt/core.h               libfmt-dev
build     needed    pcre2.h                  libpcre2-dev
build     needed    utf8proc.h               libutf8proc-dev
build     needed    histedit.h               libedit-dev
build     needed    zstd.h                   libzstd-dev
build     needed    zlib.h                   zlib1g-dev
build     needed    gtest/gtest.h            libgtest-dev
build     optional  ccache                   ccache
build     optional  mold                     mold
oracle    needed    python3-module:ensurepip python3-venv
demo      optional  npm                      npm
demo      optional  node                     nodejs
demo      needed    xz                       xz-utils
demo      needed    sha256sum                coreutils
lint      needed    clang-format-16          clang-format-16
lint      needed    clang-tidy-16            clang-tidy-16
sanitize  needed    setarch                  util-linux
sanitize  needed    clang++-16               clang-16
sanitize  needed    /usr/lib/llvm-16/lib/clang/16/lib/linux/libclang_rt.fuzzer-x86_64.a libclang-rt-16-dev
'
include_folders=(/usr/include /usr/local/include "/usr/include/$(uname -m)-linux-gnu")

is_there() {
  local check=$1 folder
  case $check in
    /*) [ -e "$check" ] ;;
    python3-module:*) python3 -c "import ${check#*:}, venv" 2>/dev/null ;;
    *.h | *.hpp)
      for folder in "${include_folders[@]}"; do
        if [ -e "$folder/$check" ]; then return 0; fi
      done
      return 1
      ;;
    *) command -v "$check" >/dev/null ;;
  esac
}

# missing NEEDED|optional GROUP...: the packages of these groups that are not there, one a line.
missing() {
  local kind=$1 group strength check package
  shift
  while read -r group strength check package; do
    if [ "$strength" = "$kind" ] && [[ " $* " == *" $group "* ]] && ! is_there "$check"; then echo "$package"; fi
  done <<<"$needs"
}

groups=("$@")
if [ ${#groups[@]} = 0 ]; then groups=(build); fi
mapfile -t needed < <(missing needed "${groups[@]}")
mapfile -t optional < <(missing optional "${groups[@]}")
if [ ${#needed[@]} = 0 ] && [ ${#optional[@]} = 0 ]; then exit 0; fi

if [ "$(id -u)" = 0 ]; then
  as_root=(env)
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  as_root=()
fi
install=(apt-get install -y --no-install-recommends)
if [ ${#as_root[@]} = 0 ] || ! command -v apt-get >/dev/null; then
  echo "setup: would run as root: ${install[*]} ${needed[*]} ${optional[*]}"
  echo "setup: may not here (needs apt-get, and root or a sudo that asks no password)"
  if [ ${#needed[@]} = 0 ]; then exit 0; fi
  echo "setup: error: missing and needed: ${needed[*]}" >&2
  exit 1
fi

apt() { "${as_root[@]}" DEBIAN_FRONTEND=noninteractive "$@" </dev/null; }
echo "setup: installing ${needed[*]} ${optional[*]}"
if ! apt apt-get -qq -o DPkg::Lock::Timeout=600 update; then echo "setup: apt-get update failed; trying with the old lists"; fi
if [ ${#needed[@]} != 0 ]; then
  apt "${install[@]}" -qq -o DPkg::Lock::Timeout=600 "${needed[@]}"
fi
for package in "${optional[@]}"; do
  if ! apt "${install[@]}" -qq -o DPkg::Lock::Timeout=600 "$package"; then echo "setup: going on without $package"; fi
done
mapfile -t needed < <(missing needed "${groups[@]}")
if [ ${#needed[@]} != 0 ]; then
  echo "setup: error: still missing after the installation: ${needed[*]}" >&2
  exit 1
fi
