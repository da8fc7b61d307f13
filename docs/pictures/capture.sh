#!/usr/bin/env bash
# docs/pictures/capture.sh BUILD-DIR - makes the pictures of the README anew, from a real run.
#
#   top.svg   `pagectl top` in tmux, 100x36
#   map.svg   `pagectl map --out`, at the same time
#   map.txt   `pagectl map`, a moment later
#
# The load: three processes of examples/filecache.c, whose caches together are larger than the segment, and the
# cache of docs/tutorial.md, of which a minimum is protected. Takes half a minute; needs tmux, perl and cc.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
build=$(cd "${1:?usage: capture.sh BUILD-DIR}" && pwd)
if [ "${2:-}" != inside ]; then
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/paged-picture-XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	printf '[segment]\nsize = 48M\n[client name=cache]\nmin = 8M\n' >"$tmp/paged.conf"
	# file=cache.c of the tutorial
	awk '/^```c file=cache.c/ { on = 1; next } /^```/ { on = 0 } on' "$root/docs/tutorial.md" >"$tmp/cache.c"
	cc "$tmp/cache.c" -I"$root/include" -L"$build/client" -lpageclient -Wl,-rpath,"$build/client" -o "$tmp/cache"
	"$build/examples/filecache" pack "$tmp/archive" --bytes 100000000 --seconds 10 >/dev/null
	cd "$tmp"
	"$build/pagectl/pagectl" run --config paged.conf --paged "$build/daemon/host/paged" -- \
		"$here/$(basename "$0")" "$build" inside
	exit
fi

tmux=(tmux -S "$PWD/tmux" -f /dev/null)
trap '"${tmux[@]}" kill-server; jobs -p | xargs -r kill' EXIT
./cache 3000 >cache.log &
until grep -q cached cache.log; do sleep 0.1; done
for name in mail web search; do
	"$build/examples/filecache" serve archive --name "$name" --seconds 60 --skew 0.6 --seed $RANDOM >/dev/null 2>&1 &
done
"${tmux[@]}" new-session -d -x 100 -y 36 "TERM=tmux-256color $build/pagectl/pagectl top"
sleep 15
"${tmux[@]}" capture-pane -e -p >screen
"$build/pagectl/pagectl" map --out map.svg
"$build/pagectl/pagectl" map >map.txt
"$here/screen_to_svg.pl" <screen >top.svg
mv top.svg map.svg map.txt "$here/"
