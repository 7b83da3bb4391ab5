// net/http of Go as it comes.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

const sum = `{"kind":"demo.sum","input":{"values":[1,2]}}`

var url, key string

func ask(what, method, path, token, body string, headers ...string) *http.Response {
	request, _ := http.NewRequest(method, url+path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(what, err)
		os.Exit(1)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	fmt.Println(what, answer.StatusCode)
	return answer
}

func main() {
	url, key = os.Args[1], os.Args[2]
	first := ask("submit", "POST", "/v1/jobs", key, sum)
	ask("submit", "POST", "/v1/jobs", key, sum)
	ask("large", "POST", "/v1/jobs", key, sum+strings.Repeat(" ", 20_000))
	ask("expect", "POST", "/v1/jobs", key, sum, "Expect", "100-continue")
	ask("refused", "POST", "/v1/jobs", "nobody", sum, "Expect", "100-continue")
	ask("refused", "POST", "/v1/jobs", "nobody", sum)
	path := first.Header.Get("Location")
	job := ask("look up", "GET", path, key, "")
	ask("unchanged", "GET", path, key, "", "If-None-Match", job.Header.Get("ETag"))
	ask("cancel", "POST", path+"/cancel", key, "")
	ask("submit", "POST", "/v1/jobs", key, sum)
}
