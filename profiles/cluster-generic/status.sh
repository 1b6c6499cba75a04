#!/bin/sh
# Says of a job of SLURM, by its number: running (or waiting), success or failed. One that squeue has forgotten, MinJobAge
# after its end, has failed unless scontrol or sacct knows better.
state=$(squeue --noheader --states=all --format=%T --jobs="$1" 2>/dev/null | head -n 1)
[ -n "$state" ] || state=$(sacct --noheader --parsable2 --allocations --format=State --jobs="$1" 2>/dev/null | head -n 1)
case "$state" in
  COMPLETED) echo success ;;
  PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | STOPPED | REQUEUED | REQUEUE_* | RESIZING | SIGNALING | STAGE_OUT | PREEMPTED) echo running ;;
  *) echo failed ;;
esac
