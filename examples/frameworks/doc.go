// Package frameworks tests otelws with frameworks, middlewares and WebSocket
// libraries. README.md describes how to combine them.
package frameworks
