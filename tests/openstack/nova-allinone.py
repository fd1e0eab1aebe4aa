#!/usr/bin/env python3
"""nova-api + nova-api-metadata + conductor + scheduler + compute (fake virt driver)
in ONE process with native threads, so that oslo.messaging's in-process fake:// bus
is enough (no RabbitMQ).  All code is nova's own; only the wiring is here.

  nova-allinone.py --config-dir DIR --api HOST:PORT --metadata HOST:PORT [--pidfile F]
"""
import argparse
import os
import sys
os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = 'true'
from nova import monkey_patch
monkey_patch.patch(backend='threading')
import signal
import socketserver
import threading
from wsgiref import simple_server

p = argparse.ArgumentParser()
p.add_argument('--config-dir', required=True)
p.add_argument('--api', required=True)
p.add_argument('--metadata', required=True)
p.add_argument('--pidfile')
o = p.parse_args()
os.environ['OS_NOVA_CONFIG_DIR'] = o.config_dir
sys.argv = ['nova-allinone', '--config-file', os.path.join(o.config_dir, 'nova.conf')]
if o.pidfile:
    with open(o.pidfile, 'w') as f:
        f.write('%d\n' % os.getpid())

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'pylib'))
import openstack_sqlite
openstack_sqlite.install()
from nova.api.openstack import wsgi_app
api = wsgi_app.init_application('osapi_compute', 'nova-api-os-compute')
meta = wsgi_app.init_application('metadata', 'nova-api-metadata')

import os_vif
from nova.compute import rpcapi as compute_rpcapi
from nova.conductor import rpcapi as conductor_rpcapi
from nova.scheduler import rpcapi as scheduler_rpcapi
from nova import context, objects, service
from nova.objects import host_mapping
os_vif.initialize()
services = []
for binary, kw in (('nova-conductor', dict(topic=conductor_rpcapi.RPC_TOPIC)),
                   ('nova-scheduler', dict(topic=scheduler_rpcapi.RPC_TOPIC)),
                   ('nova-compute', dict(topic=compute_rpcapi.RPC_TOPIC,
                                         topic_alt=compute_rpcapi.RPC_TOPIC_ALT))):
    s = service.Service.create(binary=binary, **kw)
    s.start()
    # after a restart (--keep) the scheduler would take us for dead until the first beat
    s.servicegroup_api._driver._report_state(s)
    services.append(s)
host_mapping.discover_hosts(context.get_admin_context())


class Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, fmt, *a):
        sys.stderr.write('%s %s\n' % (self.client_address[0], fmt % a))


for app, where in ((api, o.api), (meta, o.metadata)):
    host, port = where.rsplit(':', 1)
    httpd = simple_server.make_server(host, int(port), app, Server, Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
sys.stderr.write('ready\n')
sys.stderr.flush()
signal.signal(signal.SIGTERM, lambda *a: os._exit(0))
signal.signal(signal.SIGINT, lambda *a: os._exit(0))
while True:
    signal.pause()
