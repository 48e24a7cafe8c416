# The agent on api's host.
node_name  = "api-host"
data_dir   = "/data"
retry_join = ["server"]
retry_interval = "1s"

service {
  name  = "api"
  port  = 9002
  check {
    http     = "http://127.0.0.1:9002/health"
    interval = "1s"
  }
  connect {
    sidecar_service {
      proxy {
        upstreams {
          destination_name = "db"
          local_bind_port  = 9103
        }
      }
    }
  }
}
