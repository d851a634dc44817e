#!/bin/bash
# x264 - video encoder with 16 frame threads: the same bits as without the library
# packages: x264 ffmpeg
. "${0%/*}/../lib.sh"
[ -s "$DATA/video.y4m" ] || ffmpeg -v error -y -f lavfi -i testsrc2=size=640x360:rate=30 -t 4 -pix_fmt yuv420p "$DATA/video.y4m"
[ -s "$DATA/video.264" ] || x264 --quiet --threads 16 --preset medium --no-progress -o "$DATA/video.264" "$DATA/video.y4m" 2>/dev/null
under_test x264 --quiet --threads 16 --preset medium --no-progress -o out.264 "$DATA/video.y4m" >out 2>err
want status 0 $?
cmp -s out.264 "$DATA/video.264" || broken "other bits than without threads of ours"
want frames 120 "$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 out.264)"
figure "$(python3 -c 'import json; print(120 / json.load(open("measures"))["wall_s"])')" frames/s
finish
