#!/bin/bash
# Builds the enclave of entg-occlum and runs it:
#
#   occlum/run_on_occlum.sh [--debug] [--build-only] [OPTION OF ENTG]...
#
# To be run where Occlum 0.31 is (docs/occlum.md), after `make entg-occlum`. The options become part of
# the image, and so of MRENCLAVE: an enclave takes none from the host that runs it. Files that they name
# (policies, keys) come from the directory ENG_ETC and are /etc/eng/FILE inside; ENG_SIGN_KEY is the
# key that signs the enclave.
set -e

base=$(dirname "$(realpath "$0")")
debuggable=false
run=yes
while :; do
	case ${1-} in
	--debug) debuggable=true ;;
	--build-only) run=no ;;
	*) break ;;
	esac
	shift
done
[ -z "$ENG_ETC" ] || ENG_ETC=$(realpath "$ENG_ETC")
[ -z "$ENG_SIGN_KEY" ] || ENG_SIGN_KEY=$(realpath "$ENG_SIGN_KEY")

cd "$base"
rm -rf occlum_instance
mkdir occlum_instance
cd occlum_instance
occlum init
rm -rf image

# Our settings over the template's. Nothing of the host's files is needed: no /host.
jq -s --argjson debuggable $debuggable '.[0] * .[1]
	| .metadata.debuggable = $debuggable
	| .mount |= map(select(.type != "hostfs"))' Occlum.json ../settings.json >settings.new
mv settings.new Occlum.json

# An option begins a line; what follows it is its value.
mkdir eng
[ -z "$ENG_ETC" ] || cp -R "$ENG_ETC"/. eng/
for word; do
	case $word in
	--*) printf '\n%s' "$word" ;;
	*) printf ' %s' "$word" ;;
	esac
done >eng/entg.args
echo >>eng/entg.args

copy_bom -f ../bom.yaml --root image --include-dir /opt/occlum/etc/template
occlum build ${ENG_SIGN_KEY:+--sign-key "$ENG_SIGN_KEY"}
echo "MRENCLAVE $(occlum print mrenclave)"
[ $run = no ] || exec occlum run /bin/entg-occlum
