node_name = "node1"
node_id = "11111111-1111-1111-1111-111111111111"
bind_addr = "127.0.0.1"
client_addr = "127.0.0.1"
disable_update_check = true
http_config {
  response_headers { "Access-Control-Allow-Origin" = "*" }
  block_endpoints = ["/v1/agent/self"]
  allow_write_http_from = ["10.0.0.0/8"]
}
translate_wan_addrs = true
datacenter = "dc7"
ports {
  http = 18500
  dns = 18600
  grpc = 18502
  grpc_tls = 18503
  serf_lan = 18301
  serf_wan = 18302
  server = 18300
}
