#!/usr/bin/env bash
# The gateway behind nginx and HAProxy, which hand over the client's address by X-Forwarded-For, Forwarded and the PROXY
# protocol; and behind those who only claim to be a proxy: see behind-proxies.mjs.
#
# Needs nginx, HAProxy, openssl, and node with npm; without them it exits with 77. The gateway is $SOCKWARDEN, or the release
# build.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

WS=8.23.0
PATH=$PATH:/usr/sbin

need_gateway
need nginx "no nginx, which the gateway is put behind"
need haproxy "no HAProxy, which the gateway is put behind"
need openssl "no openssl to make a certificate with"
npm_packages "ws-$WS" "ws@$WS"

start app node "$E2E/behind-proxies.mjs" app
upstream=$(wait_for app '^listening on ' 20) || exit 1
upstream=${upstream##* }

# Clients come from 127.0.0.2, so that only 127.0.0.1 is a proxy.
cat >"$WORK/gateway.toml" <<END
version = 1
events = { to = "file", file = "$WORK/events.jsonl" }
[[listeners]]
address = "127.0.0.1:0"
proxies = { trusted = ["127.0.0.1/32"] }
[[listeners]]
address = "127.0.0.1:0"
proxies = { trusted = ["127.0.0.1/32"], header = "forwarded" }
[[listeners]]
address = "127.0.0.1:0"
proxies = { proxy_protocol = ["127.0.0.1/32"] }
[[listeners]]
address = "127.0.0.1:0"
tls_dev = true
proxies = { proxy_protocol = ["127.0.0.1/32"] }
[[routes]]
name = "app"
path = "/"
upstream = "$upstream"
auth = "none"
END
start gateway "$GATEWAY" guard -c "$WORK/gateway.toml"
wait_for gateway '^  route app ' 20 >/dev/null || exit 1
read -r headers forwarded proxy proxy_tls < <(sed -nE 's/^listening on wss?:.*:([0-9]+)$/\1/p' "$WORK/gateway.log" | xargs)
read -r n1 n2 n3 h1 h2 h3 h4 < <(node "$E2E/behind-proxies.mjs" ports 7)

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=app.example \
    -addext subjectAltName=DNS:app.example -keyout "$WORK/key.pem" -out "$WORK/certificate.pem" 2>"$WORK/openssl.log" ||
    { cat "$WORK/openssl.log"; exit 1; }

# One process in the foreground, and every file of it in $WORK.
cat >"$WORK/nginx.conf" <<END
daemon off;
master_process off;
pid $WORK/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $WORK/nginx-body;
    proxy_temp_path $WORK/nginx-proxy;
    fastcgi_temp_path $WORK/nginx-fastcgi;
    uwsgi_temp_path $WORK/nginx-uwsgi;
    scgi_temp_path $WORK/nginx-scgi;
    proxy_http_version 1.1;
    proxy_set_header Upgrade \$http_upgrade;
    proxy_set_header Connection upgrade;
    proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto \$scheme;
    proxy_set_header X-Forwarded-Host \$http_host;
    server {
        listen 127.0.0.1:$n1;
        location / { proxy_pass http://127.0.0.1:$headers; }
    }
    server {
        listen 127.0.0.1:$n2 ssl;
        ssl_certificate $WORK/certificate.pem;
        ssl_certificate_key $WORK/key.pem;
        location / { proxy_pass http://127.0.0.1:$headers; }
    }
    server {
        listen 127.0.0.1:$n3;
        location / {
            proxy_set_header Upgrade \$http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host \$http_host;
            proxy_set_header Forwarded "\$http_forwarded, for=\$remote_addr;proto=\$scheme";
            proxy_pass http://127.0.0.1:$forwarded;
        }
    }
}
END
cat >"$WORK/haproxy.cfg" <<END
defaults
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout tunnel 20s
frontend headers
    mode http
    bind 127.0.0.1:$h1
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header Host inner.example
    default_backend headers
backend headers
    mode http
    server gateway 127.0.0.1:$headers
listen v1
    mode tcp
    bind 127.0.0.1:$h2
    server gateway 127.0.0.1:$proxy send-proxy
listen v2
    mode tcp
    bind 127.0.0.1:$h3
    server gateway 127.0.0.1:$proxy send-proxy-v2 check check-send-proxy inter 400ms
listen v2-tls
    mode tcp
    bind 127.0.0.1:$h4
    server gateway 127.0.0.1:$proxy_tls send-proxy-v2
END
start nginx nginx -p "$WORK" -c "$WORK/nginx.conf" -e stderr
start haproxy haproxy -db -f "$WORK/haproxy.cfg"
for port in "$n1" "$n2" "$n3" "$h1" "$h2" "$h3" "$h4"; do
    for ((tries = 0; tries < 100; tries++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue 2
        sleep 0.1
    done
    tail -n 20 "$WORK/nginx.log" "$WORK/haproxy.log"
    fail "nginx and HAProxy listen"
    finish
done

EVENTS=$WORK/events.jsonl APP_LOG=$WORK/app.log TAKES_HEADERS=$headers TAKES_PROXY=$proxy \
    NGINX_WITH_X_FORWARDED_FOR=$n1 NGINX_WITH_X_FORWARDED_FOR_OVER_TLS=$n2 NGINX_WITH_FORWARDED=$n3 \
    HAPROXY_WITH_X_FORWARDED_FOR=$h1 HAPROXY_WITH_SEND_PROXY=$h2 HAPROXY_WITH_SEND_PROXY_V2=$h3 \
    HAPROXY_WITH_SEND_PROXY_V2_AND_TLS_THROUGH_IT=$h4 timeout 100 node "$E2E/behind-proxies.mjs" clients
