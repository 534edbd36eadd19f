package webdriver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// routes are the commands' places over HTTP (WebDriver §8.5), by the names that Marionette gives them, and two that
// only chromedriver has.
var routes = map[string]string{
	"SetTimeouts":        "POST /timeouts",
	"Navigate":           "POST /url",
	"GetCurrentURL":      "GET /url",
	"GetTitle":           "GET /title",
	"ExecuteScript":      "POST /execute/sync",
	"ExecuteAsyncScript": "POST /execute/async",
	"FindElement":        "POST /element",
	"ElementClick":       "POST /element/{id}/click",
	"ElementSendKeys":    "POST /element/{id}/value",
	"PerformActions":     "POST /actions",
	"NewWindow":          "POST /window/new",
	"GetWindowHandle":    "GET /window",
	"GetWindowHandles":   "GET /window/handles",
	"SwitchToWindow":     "POST /window",
	"CloseWindow":        "DELETE /window",
	"SetWindowRect":      "POST /window/rect",
	"MinimizeWindow":     "POST /window/minimize",
	"MaximizeWindow":     "POST /window/maximize",
	"TakeScreenshot":     "GET /screenshot",
	"GetCookies":         "GET /cookie",
	"DeleteAllCookies":   "DELETE /cookie",
	"DevTools":           "POST /goog/cdp/execute",
	"Log":                "POST /se/log",
}

// remote speaks WebDriver over HTTP.
type remote struct {
	address string
	session string // "/session/…" once there is one
}

func (r *remote) call(name string, params map[string]any) (json.RawMessage, error) {
	if name == "NewSession" {
		value, err := r.do("POST /session", params)
		if err != nil {
			return nil, err
		}
		var session struct{ SessionID string }
		err = json.Unmarshal(value, &session)
		r.session = "/session/" + session.SessionID
		return value, err
	}
	method, path, _ := strings.Cut(routes[name], " ")
	if id, ok := params["id"].(string); ok {
		path = strings.Replace(path, "{id}", id, 1)
	}
	return r.do(method+" "+r.session+path, params)
}

func (r *remote) do(route string, params map[string]any) (json.RawMessage, error) {
	method, path, _ := strings.Cut(route, " ")
	var body bytes.Buffer
	if method == http.MethodPost {
		if params == nil {
			params = map[string]any{} // a body is an object (WebDriver §8.4)
		}
		if err := json.NewEncoder(&body).Encode(params); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequest(method, r.address+path, &body)
	if err != nil {
		return nil, err
	}
	client := http.Client{Timeout: commandTimeout}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK {
		var failure struct{ Error, Message string }
		json.Unmarshal(answer.Value, &failure)
		return nil, fmt.Errorf("%s: %s", failure.Error, failure.Message)
	}
	return answer.Value, nil
}
