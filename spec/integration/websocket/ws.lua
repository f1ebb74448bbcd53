-- Our client and the servers of ws.js: `ctornado run ws.lua PLAIN CODED SECURE CA`, the ports and
-- the certificate. Prints a line for each case.
local websocket = require "tornado.websocket"

local PLAIN, CODED, SECURE, CA = unpack(arg)
local SERVERS = {
    { "plain", "ws://127.0.0.1:" .. PLAIN, {} },
    { "compressed", "ws://127.0.0.1:" .. CODED, { compression_options = { threshold = 0 } } },
    { "compressed with windows kept", "ws://127.0.0.1:" .. CODED,
        { compression_options = { threshold = 0, context_takeover = true } } },
    { "compressed with small windows", "ws://127.0.0.1:" .. CODED,
        { compression_options = { context_takeover = true, max_window_bits = 9 } } },
    { "TLS", "wss://127.0.0.1:" .. SECURE,
        { ssl_options = { ca_certs = CA }, compression_options = {} } },
}
local SIZES = { 0, 1, 125, 126, 65535, 65536, 1048576, 16777216 }

local function same(got, expected, what)
    if got == expected then return end
    error(("%s: expected %s, got %s"):format(what, tostring(expected):sub(1, 60),
        tostring(got):sub(1, 60)), 2)
end

local function expect(connection, message, binary)
    local got, is_binary = connection:read_message()
    same(got, message, "message")
    same(is_binary, binary or false, "binary")
end

local function expect_closed(connection, code, reason)
    same(connection:read_message(), nil, "message")
    same(connection.close_code, code, "close code")
    same(connection.close_reason, reason, "close reason")
end

local cases = {}

function cases.echo(connection)
    for _, size in ipairs(SIZES) do
        local text = ("grün "):rep(math.floor(size / 6))
        connection:write_message(text)
        expect(connection, text)
        local bytes = ("\255\0\254"):rep(math.floor(size / 3))
        connection:write_message(bytes, true)
        expect(connection, bytes, true)
    end
    connection:close()
    expect_closed(connection, 1005)
end

function cases.fragments(connection)
    connection:write_message "fragments"
    local parts = {}
    for i = 0, 19 do parts[i + 1] = ("part %d,"):format(i) end
    expect(connection, table.concat(parts) .. "end")
    expect(connection, "pong: between") -- ours, sent by itself
    connection:close()
end

function cases.pings(connection)
    connection:ping "there?"
    expect(connection, "ping: there?")
    connection:write_message "ping of theirs"
    expect(connection, "pong: of theirs")
    connection:close(1001, "grün")
    expect_closed(connection, 1001, "grün") -- ws gives it back
end

function cases.subprotocols(connection)
    connection:write_message "protocol"
    expect(connection, connection.selected_subprotocol)
    connection:close(4000)
    expect_closed(connection, 4000)
end

for _, code in ipairs { 1000, 1001, 1011, 3000, 4999 } do
    cases["closed by ws with " .. code] = function(connection)
        connection:write_message(("close %d and why"):format(code))
        expect_closed(connection, code, "and why")
    end
end

cases["cut off by ws"] = function(connection)
    connection:write_message "terminate"
    same(connection:read_message(), nil, "message")
    same(connection.close_code, 1006, "close code")
end

cases["a text that is no UTF-8"] = function(connection)
    connection:write_message "broken"
    same(connection:read_message(), nil, "message")
    same(connection.close_code, 1007, "close code")
end

local function run(server, name, fn)
    local options = { subprotocols = { "a", "b" }, max_message_size = 33554432,
        max_queue = 33554432 }
    for key, value in pairs(server[3]) do options[key] = value end
    local connection = websocket.connect(server[2], options)
    local coded = connection.headers:get "Sec-WebSocket-Extensions" ~= nil
    same(coded, options.compression_options ~= nil, "compression")
    fn(connection)
    print(("ok %s, %s"):format(name, server[1]))
end

for _, server in ipairs(SERVERS) do
    for name, fn in pairs(cases) do
        local ok, err = pcall(run, server, name, fn)
        if not ok then print(("failed %s, %s: %s"):format(name, server[1], tostring(err))) end
    end
end
