// Package frameworks has otelws tested with the frameworks, middlewares and
// WebSocket libraries that it is used with. README.md says how they go together.
package frameworks
