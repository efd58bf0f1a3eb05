module sidelight-bench-proxy

go 1.21
