#!/usr/bin/env bash
# swift.sh start|stop|env DIR - OpenStack Swift with s3api on loopback, all state in one directory.
# Packages: swift-proxy swift-account swift-container swift-object memcached
#   SWIFT_WORKERS=N   processes a server (1)
set -u
cmd=$1
[ "$cmd" = start ] && mkdir -p "$2"
D=$(cd "$2" && pwd -P) || exit 1

# A process counts as ours only while its command line names our configuration.
ours() {
  [ -n "${1:-}" ] && tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -q "^$D/etc/"
}

stop() {
  local n p
  for n in proxy object container account; do
    p=$(cat "$D/pid/$n" 2>/dev/null) || continue
    if ours "$p"; then # with its workers: each server leads a session of its own
      kill -TERM -- "-$p" 2>/dev/null
      sleep 0.3
      kill -9 -- "-$p" 2>/dev/null
    fi
    rm -f "$D/pid/$n"
  done
  p=$(cat "$D/pid/memcached" 2>/dev/null) && grep -qa memcached "/proc/$p/cmdline" && kill -9 "$p"
  rm -f "$D/pid/memcached"
}

free_ports() { # N: N free loopback TCP ports
  python3 - "$1" <<'PY'
import socket, sys
s = [socket.socket() for _ in range(int(sys.argv[1]))]
for x in s: x.bind(("127.0.0.1", 0))
print(*[x.getsockname()[1] for x in s])
PY
}

common() { # port
  cat <<C
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $1
workers = ${SWIFT_WORKERS:-1}
user = root
swift_dir = $D/etc
log_level = INFO
log_udp_host = 127.0.0.1
log_udp_port = 15514
C
}

storage_conf() { # name port
  common "$2"
  cat <<C
devices = $D/srv
mount_check = false
disable_fallocate = true
recon_cache_path = $D/cache
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
C
}

proxy_conf() { # port memcached-port
  local f
  common "$1"
  cat <<C
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk s3api \
tempauth copy slo dlo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin .reseller_admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = localhost
allow_multipart_uploads = true
max_upload_part_num = 10000
check_bucket_owner = false
auth_pipeline_check = false
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$2
[filter:proxy-logging]
use = egg:swift#proxy_logging
C
  for f in healthcheck catch_errors gatekeeper listing_formats bulk copy slo dlo symlink; do
    printf '[filter:%s]\nuse = egg:swift#%s\n' $f $f
  done
  printf '[filter:versioned_writes]\nuse = egg:swift#versioned_writes\n'
  printf 'allow_object_versioning = true\n'
}

start() {
  local pp ap cp op mp r n b i
  rm -rf "$D"/{etc,srv,pid,log,env}
  mkdir -p "$D"/{etc,srv/d1,pid,log,cache}
  read -r pp ap cp op mp <<<"$(free_ports 5)"
  for r in account:$ap container:$cp object:$op; do
    n=${r%%:*} b=$D/etc/${r%%:*}.builder
    swift-ring-builder "$b" create 2 1 0 &&
      swift-ring-builder "$b" add "r1z1-127.0.0.1:${r##*:}/d1" 1 &&
      swift-ring-builder "$b" rebalance
    storage_conf "$n" "${r##*:}" >"$D/etc/$n.conf"
  done >"$D/log/ring" 2>&1
  proxy_conf "$pp" "$mp" >"$D/etc/proxy.conf"
  setsid memcached -u root -l 127.0.0.1 -p "$mp" -U 0 -m 64 </dev/null >"$D/log/memcached" 2>&1 &
  echo $! >"$D/pid/memcached"
  for n in account container object proxy; do
    setsid swift-$n-server "$D/etc/$n.conf" -v </dev/null >"$D/log/$n" 2>&1 &
    echo $! >"$D/pid/$n"
  done
  for i in $(seq 200); do
    (exec 3<>"/dev/tcp/127.0.0.1/$pp") 2>/dev/null && break
    ours "$(cat "$D/pid/proxy")" || { stop; echo "swift-proxy ended: see $D/log" >&2; exit 1; }
    sleep 0.1
  done
  cat >"$D/env" <<C
export AWS_ENDPOINT_URL=http://127.0.0.1:$pp
export AWS_ACCESS_KEY_ID=test:tester AWS_SECRET_ACCESS_KEY=testing AWS_REGION=us-east-1
C
}

case $cmd in
  start) start ;;
  stop) stop ;;
  env) cat "$D/env" ;;
  *) echo "usage: swift.sh start|stop|env DIR" >&2; exit 2 ;;
esac
