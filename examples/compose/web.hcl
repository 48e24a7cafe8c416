# The agent on web's host: it registers web and the sidecar that web wants.
node_name  = "web-host"
data_dir   = "/data"
retry_join = ["server"]
retry_interval = "1s"

service {
  name  = "web"
  port  = 9001
  check {
    http     = "http://127.0.0.1:9001/health"
    interval = "1s"
  }
  connect {
    sidecar_service {
      proxy {
        upstreams {
          destination_name = "api"
          local_bind_port  = 9102
        }
      }
    }
  }
}
