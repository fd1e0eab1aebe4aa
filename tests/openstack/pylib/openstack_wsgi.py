"""uwsgi entry: $OPENSTACK_MODULE's application, with openstack_sqlite in place first."""
import importlib
import os
import openstack_sqlite
openstack_sqlite.install()
application = importlib.import_module(os.environ['OPENSTACK_MODULE']).application
