#!/usr/bin/env bash
# rgw.sh - a real one-node Ceph RADOS Gateway on loopback, all state in one directory.
#   rgw.sh start DIR    start mon + osd + radosgw, make the S3 user, wait until S3 answers
#   rgw.sh stop  DIR    end exactly the processes that `start DIR` made (DIR is kept)
#   rgw.sh env   DIR    print export lines for S3 clients
# Packages: apt-get install --no-install-recommends radosgw ceph-mon ceph-osd   (openssl, python3)
# Settings from the environment of `start`:
#   (client side: unset AWS_CA_BUNDLE for rclone; use RGW_CA_FILE with RGW_TLS_URL)
#   RGW_STORE=memstore|bluestore   where objects live: RAM (default) or DIR/osd/block (sparse file)
#   RGW_SIZE=BYTES                 size of that store (default 8 GiB memstore, 32 GiB bluestore)
#   RGW_PORT= RGW_TLS_PORT=        fixed ports; by default free ones are picked
#   RGW_CONF="line\nline"          more lines for [client.rgw] (e.g. "rgw max put size = 1000000")
#   RGW_BEAST="option=value ..."     more beast options (e.g. request_timeout_ms=2000)
#   RGW_ACCESS_KEY= RGW_SECRET_KEY=
set -u
export LC_ALL=C CEPH_DEV=1
me=${0##*/}
die() { echo "$me: $*" >&2; exit 1; }
[ $# -eq 2 ] || die "usage: $me start|stop|env DIR"
cmd=$1
[ "$cmd" = start ] && mkdir -p "$2"
DIR=$(cd "$2" 2>/dev/null && pwd -P) || die "no directory $2"
CONF=$DIR/ceph.conf

# A pid counts as ours only while its command line names our ceph.conf.
ours() {
  [ -n "${1:-}" ] && tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -qxF -- "$CONF"
}
pid_of() { cat "$DIR/pid/$1" 2>/dev/null; }

stop_one() { # name signal
  local p i; p=$(pid_of "$1") || return 0
  if ours "$p"; then
    kill "-$2" "$p" 2>/dev/null
    for i in $(seq 100); do ours "$p" || break; sleep 0.1; done
    if ours "$p"; then
      kill -9 "$p" 2>/dev/null
      for i in $(seq 50); do ours "$p" || break; sleep 0.1; done
    fi
  fi
  rm -f "$DIR/pid/$1"
}
stop_all() {
  # KILL, for speed: `start` makes everything anew, so nothing here needs a clean end
  # (on TERM a memstore osd would first write its whole content under DIR/osd).
  stop_one rgw KILL
  stop_one osd KILL
  stop_one mon KILL
}
# run NAME PROGRAM ARGS...: in the background, own session, no terminal, pid in DIR/pid/NAME
run() {
  local n=$1; shift
  setsid "$@" </dev/null >>"$DIR/log/$n.out" 2>&1 &
  echo $! >"$DIR/pid/$n"
}
alive() { ours "$(pid_of "$1")"; }
free_ports() { # N: N free loopback TCP ports
  python3 - "$1" <<'PY'
import socket, sys
s = [socket.socket() for _ in range(int(sys.argv[1]))]
for x in s: x.bind(("127.0.0.1", 0))
print(*[x.getsockname()[1] for x in s])
PY
}
ceph_() { ceph -c "$CONF" --connect-timeout "${T:-20}" "$@"; }

give_up() { stop_all; die "$*"; }
ask_root() { # port: the first 12 bytes of the answer to GET /
  { exec 3<>"/dev/tcp/127.0.0.1/$1" &&
      printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 &&
      timeout 10 head -c 12 <&3; } 2>/dev/null
}

start() {
  local store size fsid osdid mport port tport beast mkfs i code
  rm -rf "$DIR"/{mon,osd,log,pid,tls,run,ceph.conf,env}
  mkdir -p "$DIR"/{mon,osd,log,pid,tls,run}
  store=${RGW_STORE:-memstore}
  case $store in
    memstore) size=${RGW_SIZE:-8589934592} ;;
    bluestore) size=${RGW_SIZE:-34359738368} ;;
    *) die "RGW_STORE=$store" ;;
  esac
  read -r mport port tport <<<"$(free_ports 3)"
  port=${RGW_PORT:-$port} tport=${RGW_TLS_PORT:-$tport}
  fsid=$(cat /proc/sys/kernel/random/uuid); osdid=$(cat /proc/sys/kernel/random/uuid)
  ACCESS=${RGW_ACCESS_KEY:-TESTACCESSKEY0000001}
  SECRET=${RGW_SECRET_KEY:-testsecretkey+/0000000000000000000000001}

  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1' \
    -keyout "$DIR/tls/key.pem" -out "$DIR/tls/cert.pem" 2>"$DIR/log/openssl.out" ||
    die "openssl: see $DIR/log/openssl.out"

  beast="beast endpoint=127.0.0.1:$port ssl_endpoint=127.0.0.1:$tport tcp_nodelay=1"
  beast="$beast ssl_certificate=$DIR/tls/cert.pem ssl_private_key=$DIR/tls/key.pem"

  cat >"$CONF" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$mport/0]
ms bind msgr1 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
run dir = $DIR/run
admin socket =
crash dir = $DIR/run
log file = $DIR/log/\$name.log
log to stderr = false
mon cluster log file = $DIR/log/cluster.log
mon cluster log to stderr = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 1
auth allow insecure global id reclaim = false
ms crc data = false
ms mon client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
debug ms = 0/0
[mon]
mon data = $DIR/mon
mon initial members = a
debug mon = 1/1
debug paxos = 0/0
paxos propose interval = 0.05
paxos min wait = 0.02
mon warn on pool no redundancy = false
[osd]
osd data = $DIR/osd
osd objectstore = $store
osd crush initial weight = 1
osd class update on start = false
osd memory target = 1073741824
memstore device bytes = $size
bluestore block size = $size
bluestore block wal create = false
bluestore fsck quick fix on mount = false
osd op queue = wpq
debug osd = 0/0
debug bluestore = 0/0
debug bluefs = 0/0
debug bdev = 0/0
debug rocksdb = 0/0
[client.rgw]
rgw frontends = $beast ${RGW_BEAST:-}
rgw dns name = localhost
rgw data = $DIR/run
rgw thread pool size = 64
rgw run sync thread = false
rgw enable usage log = false
rgw enable ops log = false
rgw dynamic resharding = false
rgw gc obj min wait = 30
rgw gc processor period = 10
rgw gc processor max time = 60
debug rgw = 1/1
$(printf '%b' "${RGW_CONF:-}")
CONF

  mkfs=$DIR/log/mkfs.out
  { monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$mport/0]" \
      "$DIR/run/monmap" &&
    ceph-mon -c "$CONF" --mkfs -i a --monmap "$DIR/run/monmap"; } >"$mkfs" 2>&1 ||
    die "mon mkfs: see $mkfs"
  run mon ceph-mon -f -c "$CONF" -i a
  T=30 ceph_ osd new "$osdid" >"$DIR/log/osd-new.out" 2>&1 ||
    give_up "mon does not answer: see $DIR/log"
  ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$osdid" >>"$mkfs" 2>&1 ||
    give_up "osd mkfs: see $mkfs"
  run osd ceph-osd -f -c "$CONF" -i 0
  # makes the rgw pools too, and waits for the osd by itself
  timeout 120 radosgw-admin -c "$CONF" -n client.rgw user create --uid=test --display-name=test \
    --access-key="$ACCESS" --secret-key="$SECRET" >"$DIR/log/user.out" 2>&1 ||
    give_up "user create: see $DIR/log/user.out"
  run rgw radosgw -f -c "$CONF" -n client.rgw
  for i in $(seq 600); do
    alive rgw || give_up "radosgw ended: see $DIR/log"
    code=$(ask_root "$port")
    case $code in HTTP/*200) break ;; esac
    sleep 0.1
  done
  case $code in HTTP/*200) ;; *) give_up "radosgw does not answer on $port: see $DIR/log" ;; esac
  cat >"$DIR/env" <<ENV
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
export AWS_ACCESS_KEY_ID=$ACCESS
export AWS_SECRET_ACCESS_KEY=$SECRET
export AWS_REGION=us-east-1
export AWS_DEFAULT_REGION=us-east-1
export RGW_VHOST_URL=http://localhost:$port
export RGW_TLS_URL=https://localhost:$tport
export RGW_CA_FILE=$DIR/tls/cert.pem
ENV
}

case $cmd in
  start) # a port picked may be taken by another before it is bound: try again then
    for n in ceph-mon ceph-osd radosgw radosgw-admin ceph monmaptool openssl python3; do
      command -v $n >/dev/null || die "missing $n: make deps"
    done
    for n in mon osd rgw; do alive $n && die "already running in $DIR"; done
    for try in 1 2 3; do (start) && exit 0; done
    exit 1 ;;
  stop) stop_all ;;
  env) [ -f "$DIR/env" ] && cat "$DIR/env" || die "$DIR was not started" ;;
  *) die "usage: $me start|stop|env DIR" ;;
esac
