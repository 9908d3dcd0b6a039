# shellcheck shell=bash
# Sourced by the scripts beside it: Debian packages, taken from the machine's own mirror and checked against its own
# keyring, with apt state that is private to .vm/. Nothing is installed on the host, and nothing here needs root.

vm_dir=${VM_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)/.vm}
debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# The programs that the host (QEMU, cpio, xz, …) and the guest (unbound, dig, …) run, unpacked by `install`.
programs=$vm_dir/programs

failure_status=1
fail() {
  echo "${0##*/}: $*" >&2
  exit "$failure_status"
}

# The address that this machine fetches RELEASE from: apt itself reads the sources, so both notations count, and they
# count before the first `apt-get update` (--no-release-info).
mirror_of() {
  local release=$1
  # One foreign repository or another also calls its release "bookworm"; only a Debian mirror has its "-updates" too.
  # shellcheck disable=SC2016 # apt expands these
  apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk -v release="$release" '
    { releases[$1] = releases[$1] " " $2 " " }
    $2 == release && !($1 in seen) { seen[$1] = 1; candidates[++count] = $1 }
    END {
      for (i = 1; i <= count; i++)
        if (index(releases[candidates[i]], " " release "-updates ")) { print candidates[i]; exit }
      if (count) print candidates[1]
    }'
}

host_codename() {
  local codename
  codename=$(. /etc/os-release && echo "${ID:-unknown} ${VERSION_CODENAME:-unknown}")
  [[ $codename == "debian "* ]] || fail "this host is not Debian, and the guests are made from its packages: run it in a debian:12 container"
  echo "${codename#debian }"
}

# apt_for NAME RELEASE…: from here on, `apt_get` and `apt_cache` know these releases and no others.
apt_for() {
  local name=$1 release codename mirror state
  shift
  [[ -r $debian_keyring ]] || fail "$debian_keyring is missing: apt-get install debian-archive-keyring"
  codename=$(host_codename)
  state=$vm_dir/apt/$name
  mkdir -p "$state"/{lists/partial,cache/archives/partial,empty}
  # An empty status hides the host's own packages: dependencies are then resolved down to libc on every host.
  : >"$state/status"
  : >"$state/sources.list"
  for release in "$@"; do
    case $release in
      *-security) mirror=$(mirror_of "$codename-security") ;;
      *) mirror=$(mirror_of "$codename") ;;
    esac
    [[ -n $mirror ]] || fail "apt on this host has no source for $codename${release##"${release%-security}"}, which is where $release would come from"
    echo "deb [arch=amd64 signed-by=$debian_keyring] $mirror $release main" >>"$state/sources.list"
  done
  apt_options=(
    -qq -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts="$state/empty"
    -o Dir::Etc::Preferences="$state/empty/none" -o Dir::Etc::PreferencesParts="$state/empty"
    -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache"
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false
    -o Acquire::Languages=none -o Acquire::Retries=3 -o Debug::NoLocking=true
  )
}

apt_get() { apt-get "${apt_options[@]}" "$@"; }
apt_cache() { apt-cache "${apt_options[@]}" "$@"; }

# unpack DEB DIRECTORY [TAR-OPTION…]: the files of a package, none of its maintainer scripts. DIRECTORY stays merged-/usr.
unpack() {
  local deb=$1 directory=$2 name
  shift 2
  for name in bin sbin lib lib64; do
    mkdir -p "$directory/usr/$name"
    [[ -e $directory/$name ]] || ln -s "usr/$name" "$directory/$name"
  done
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$directory" --no-same-owner --keep-directory-symlink "$@"
}

# Programs out of $programs run with their own loader and libraries: neither what the host has installed nor what it
# lacks matters.
loader=("$programs/usr/lib64/ld-linux-x86-64.so.2" --library-path "$programs/usr/lib/x86_64-linux-gnu")
program() { "${loader[@]}" "$programs/usr/bin/$1" "${@:2}"; }
