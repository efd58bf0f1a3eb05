// A reverse proxy as one writes it in Go: httputil.ReverseProxy that flushes after every write.
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
)

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte  { return *b.pool.Get().(*[]byte) }
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: proxy LISTEN ENGINE (both host:port)")
	}
	engine := &url.URL{Scheme: "http", Host: os.Args[2]}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(engine) },
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
		BufferPool: &buffers{sync.Pool{New: func() any {
			p := make([]byte, 32<<10)
			return &p
		}}},
		ErrorLog: log.New(os.Stderr, "", 0),
	}
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}
