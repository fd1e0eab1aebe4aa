#!/usr/bin/env python3
"""Write the config-drive ISO that nova-compute would attach to a server that exists in
a running up (the fake virt driver itself attaches none).

  nova-configdrive.py --config-dir ROOT/etc/nova --server UUID --out cfg.iso [--admin-pass PW]
Reads nova's database and asks neutron for the security groups, with nova's own code.
"""
import argparse
import os
import sys
os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = 'true'
from nova import monkey_patch
monkey_patch.patch(backend='threading')
p = argparse.ArgumentParser()
p.add_argument('--config-dir', required=True)
p.add_argument('--server', required=True)
p.add_argument('--out', required=True)
p.add_argument('--admin-pass')
p.add_argument('--mkisofs', default='genisoimage')
o = p.parse_args()
from nova import config, context, objects
import nova.conf
config.parse_args(['nova', '--config-file', os.path.join(o.config_dir, 'nova.conf')])
nova.conf.CONF.set_override('mkisofs_cmd', o.mkisofs)
objects.register_all()
from nova.api.metadata import base
from nova.virt import configdrive
ctxt = context.get_admin_context()
im = objects.InstanceMapping.get_by_instance_uuid(ctxt, o.server)
with context.target_cell(ctxt, im.cell_mapping) as c:
    inst = objects.Instance.get_by_uuid(c, o.server, expected_attrs=[
        'ec2_ids', 'flavor', 'info_cache', 'metadata', 'system_metadata', 'security_groups', 'keypairs',
        'device_metadata', 'numa_topology'])
    md = base.InstanceMetadata(inst, content=None, network_info=inst.info_cache.network_info,
                               extra_md={'admin_pass': o.admin_pass} if o.admin_pass else None)
    with configdrive.ConfigDriveBuilder(instance_md=md) as b:
        b.make_drive(o.out)
print('wrote', o.out, file=sys.stderr)
