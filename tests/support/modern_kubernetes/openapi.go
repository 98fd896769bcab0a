package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

// withOpenAPIOf merges the OpenAPI v3 index of a second server into the first one's, as kube-aggregator does.
func withOpenAPIOf(handler http.Handler, other *genericapiserver.GenericAPIServer) http.Handler {
	const root = "/openapi/v3"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, root) {
			handler.ServeHTTP(w, r)
			return
		}
		if r.URL.Path != root {
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, r)
			if recorder.Code != http.StatusNotFound && (recorder.Body.Len() > 0 || recorder.Code == http.StatusNotModified) {
				copyAnswer(w, recorder)
				return
			}
			other.UnprotectedHandler().ServeHTTP(w, r)
			return
		}
		merged := map[string]any{}
		for _, one := range []http.Handler{other.UnprotectedHandler(), handler} {
			recorder := httptest.NewRecorder()
			one.ServeHTTP(recorder, r)
			var document struct {
				Paths map[string]any `json:"paths"`
			}
			_ = json.Unmarshal(recorder.Body.Bytes(), &document)
			for path, value := range document.Paths {
				merged[path] = value
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"paths": merged})
	})
}

// copyAnswer writes a recorded answer.
func copyAnswer(w http.ResponseWriter, recorder *httptest.ResponseRecorder) {
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorder.Code)
	_, _ = io.Copy(w, recorder.Body)
}
