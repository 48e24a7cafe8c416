node_name = "node1"
node_id = "11111111-1111-1111-1111-111111111111"
bind_addr = "127.0.0.1"
client_addr = "127.0.0.1"
disable_update_check = true
alt_domain = "alt.test"
dns_config {
  only_passing = true
  node_ttl = "10s"
  service_ttl { "*" = "5s" "web" = "30s" }
  enable_additional_node_meta_txt = false
  disable_compression = true
  soa { refresh = 111 retry = 222 expire = 333 min_ttl = 44 }
  use_cache = true
  cache_max_age = "10s"
}
ports {
  http = 18500
  dns = 18600
  grpc = 18502
  grpc_tls = 18503
  serf_lan = 18301
  serf_wan = 18302
  server = 18300
}
