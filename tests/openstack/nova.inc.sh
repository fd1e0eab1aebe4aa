# Read by up: Placement, Neutron, and Nova with its fake hypervisor.
mkdir -p "$ROOT"/{etc/nova,etc/placement,etc/neutron,nova/instances,neutron}
cli_auth() { cat <<E
auth_type = password
auth_url = http://$HOST:$KS/v3
username = svc
password = $PW
project_name = service
user_domain_name = Default
project_domain_name = Default
region_name = RegionOne
E
}
cat > "$ROOT/etc/placement/placement.conf" <<E
[DEFAULT]
log_file = $ROOT/log/placement.log
use_stderr = false
[api]
auth_strategy = keystone
[placement_database]
connection = $(sqlite placement)
sqlite_synchronous = false
$(authtoken)
E
cat > "$ROOT/etc/neutron/neutron.conf" <<E
[DEFAULT]
log_file = $ROOT/log/neutron.log
use_stderr = false
state_path = $ROOT/neutron
core_plugin = ml2
service_plugins =
transport_url = fake://
auth_strategy = keystone
api_paste_config = $VENV/etc/neutron/api-paste.ini
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
rpc_workers = 0
[database]
connection = $(sqlite neutron)
sqlite_synchronous = false
[oslo_concurrency]
lock_path = $ROOT/lock
[ml2]
type_drivers = local,flat,vlan
tenant_network_types = local
mechanism_drivers = anything
extension_drivers = port_security
[securitygroup]
enable_security_group = true
[quotas]
quota_security_group_rule = 1000
$(authtoken)
E
cat > "$ROOT/etc/nova/nova.conf" <<E
[DEFAULT]
log_file = $ROOT/log/nova.log
use_stderr = false
state_path = $ROOT/nova
my_ip = $HOST
host = compute
transport_url = fake:///
compute_driver = fake.FakeDriverWithoutFakeNodes
[api_database]
connection = $(sqlite nova_api)
sqlite_synchronous = false
[database]
connection = $(sqlite nova_cell1)
sqlite_synchronous = false
[api]
auth_strategy = keystone
metadata_cache_expiration = 0
[wsgi]
api_paste_config = $ROOT/etc/nova/api-paste.ini
[oslo_concurrency]
lock_path = $ROOT/lock
[vnc]
enabled = false
[scheduler]
workers = 1
[conductor]
workers = 1
[placement]
$(cli_auth)
[glance]
$(cli_auth)
[service_user]
send_service_user_token = true
$(cli_auth)
[neutron]
$(cli_auth)
service_metadata_proxy = true
metadata_proxy_shared_secret = metasecret
$(authtoken)
E
cp "$VENV/etc/nova/api-paste.ini" "$ROOT/etc/nova/"
NM="nova-manage --config-file $ROOT/etc/nova/nova.conf"
export OS_NOVA_DISABLE_EVENTLET_PATCHING=true
[ $OLD = 1 ] || ( placement-manage --config-file "$ROOT/etc/placement/placement.conf" db sync
) >"$ROOT/log/placement-manage.log" 2>&1 & P1=$!
[ $OLD = 1 ] || ( PYTHONPATH="$HERE/pylib" "$BIN/python" "$HERE/pylib/neutron_tables.py" "$(sqlite neutron)"
) >"$ROOT/log/neutron-db.log" 2>&1 & P2=$!
[ $OLD = 1 ] || ( $NM api_db sync
  $NM cell_v2 map_cell0 --database_connection "$(sqlite nova_cell0)"
  $NM db sync
  $NM cell_v2 create_cell --name cell1 --transport-url fake:/// --database_connection "$(sqlite nova_cell1)"
) >"$ROOT/log/nova-manage.log" 2>&1 & P3=$!
wait $P1 || { tail -20 "$ROOT/log/placement-manage.log" >&2; die placement-manage; }
start_uwsgi placement $PL placement.wsgi.api OS_PLACEMENT_CONFIG_DIR="$ROOT/etc/placement"
wait $P2 || { tail -20 "$ROOT/log/neutron-db.log" >&2; die neutron-db; }
PYARGV="--config-file $ROOT/etc/neutron/neutron.conf" \
start_uwsgi neutron $NT neutron.wsgi.api OS_NEUTRON_CONFIG_DIR="$ROOT/etc/neutron" OS_NEUTRON_CONFIG_FILES=neutron.conf
wait $P3 || { tail -20 "$ROOT/log/nova-manage.log" >&2; die nova-manage; }
say "nova dbs ready"
wait_http "http://$HOST:$PL/" placement
wait_http "http://$HOST:$NT/" neutron
say "placement, neutron up"
wal "$ROOT"/nova_{api,cell0,cell1}.sqlite
"$BIN/python" "$HERE/nova-allinone.py" --config-dir "$ROOT/etc/nova" --api "$HOST:$NV" --metadata "$HOST:$MD" \
   --pidfile "$ROOT/pid/nova.pid" >"$ROOT/log/nova-stdout.log" 2>&1 </dev/null &
disown
wait_http "http://$HOST:$NV/" nova
wait_http "http://$HOST:$MD/" nova-metadata
say "nova up"
[ $OLD = 1 ] || "$BIN/python" "$HERE/nova-seed.py" --auth-url "http://$HOST:$KS/v3" --password "$PW" >&2
say "flavors, network seeded"
