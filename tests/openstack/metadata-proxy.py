#!/usr/bin/env python3
"""Stand-in for neutron-metadata-agent, stdlib only: adds the instance identity headers
(and their HMAC) that a real nova-api-metadata wants, and forwards.

  metadata-proxy.py --listen 127.0.0.1:8080 --nova http://127.0.0.1:15003
      --instance UUID --project PROJECT_ID --ip 10.77.0.168 [--secret metasecret]
      [--netns NAME|PATH] [--portfile FILE]
"""
import argparse
import hashlib
import hmac
import http.client
import http.server
import os
import sys
import urllib.parse
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'pylib'))
from netns import inside
p = argparse.ArgumentParser()
p.add_argument('--listen', default='127.0.0.1:8080')
p.add_argument('--nova', default='http://127.0.0.1:15003')
p.add_argument('--instance', required=True)
p.add_argument('--project', required=True)
p.add_argument('--ip', required=True)
p.add_argument('--secret', default='metasecret')
p.add_argument('--netns', help='listen inside this network namespace (name, or /proc/PID/ns/net)')
p.add_argument('--portfile')
o = p.parse_args()
up = urllib.parse.urlsplit(o.nova)
SIG = hmac.new(o.secret.encode(), o.instance.encode(), hashlib.sha256).hexdigest()


class H(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def any(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        c = http.client.HTTPConnection(up.hostname, up.port or 80, timeout=60)
        h = {'X-Forwarded-For': o.ip, 'X-Instance-ID': o.instance, 'X-Tenant-ID': o.project,
             'X-Instance-ID-Signature': SIG}
        c.request(self.command, self.path, body or None, h)
        r = c.getresponse()
        data = r.read()
        self.send_response(r.status, r.reason)
        for k, v in r.getheaders():
            if k.lower() == 'content-type':
                self.send_header(k, v)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)
    do_GET = do_POST = do_PUT = do_HEAD = any


host, port = o.listen.rsplit(':', 1)
with inside(o.netns):
    s = http.server.ThreadingHTTPServer((host, int(port)), H)
if o.portfile:
    with open(o.portfile, 'w') as f:
        f.write('%d\n' % s.server_address[1])
print('metadata proxy on %s:%d' % s.server_address[:2], file=sys.stderr, flush=True)
s.serve_forever()
