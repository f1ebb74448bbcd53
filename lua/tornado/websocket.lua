-- WebSockets (RFC 6455), of both sides, with Tornado's names: a table of contents.
local errors = require "tornado.websocket.errors"
local client = require "tornado.websocket.client"
local handler = require "tornado.websocket.handler"

return {
    WebSocketClientConnection = client.WebSocketClientConnection,
    WebSocketClosedError = errors.WebSocketClosedError,
    WebSocketError = errors.WebSocketError,
    WebSocketHandler = handler.WebSocketHandler,
    connect = client.connect,
    websocket_connect = client.connect,
}
