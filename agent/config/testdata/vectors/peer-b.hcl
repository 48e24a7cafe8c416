node_name = "node2"
node_id = "22222222-1111-1111-1111-222222221111"
bind_addr = "127.0.0.1"
client_addr = "127.0.0.1"
disable_update_check = true
datacenter = "dc2"
ports {
  http = 18500
  dns = 18600
  grpc = 18502
  grpc_tls = 18503
  serf_lan = 18301
  serf_wan = 18302
  server = 18300
}
