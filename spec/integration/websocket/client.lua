-- Talks to an echo over WebSockets that is not ours: `ctornado run client.lua URL`. Fails loudly.
local websocket = require "tornado.websocket"

local url = arg[1]

local function talk(options)
    local connection = websocket.connect(url, options)
    for _, size in ipairs { 0, 1, 125, 126, 65535, 65536, 500000 } do
        local text = ("grün "):rep(math.floor(size / 6))
        connection:write_message(text)
        local got, binary = connection:read_message()
        assert(got == text and not binary, "the echo of a text is wrong")
        local bytes = ("\255\0\254"):rep(math.floor(size / 3))
        connection:write_message(bytes, true)
        got, binary = connection:read_message()
        assert(got == bytes and binary, "the echo of bytes is wrong")
    end
    connection:ping("are you there?")
    connection:write_message("last")
    assert(connection:read_message() == "last")
    connection:close(4000, "done")
    assert(connection:read_message() == nil)
    return connection
end

assert(not talk().headers:has("Sec-WebSocket-Extensions"))
for _, options in ipairs { {}, { context_takeover = true }, { max_window_bits = 10 } } do
    local connection = talk { compression_options = options, headers = { ["X-Test"] = "1" } }
    assert(connection.headers:get("Sec-WebSocket-Extensions"), "no compression")
    assert(connection.close_code == 4000, tostring(connection.close_code))
end
