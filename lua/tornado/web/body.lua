-- How a handler's body comes: collected, or in pieces to data_received(); decoded when the
-- setting or the server's option decompress_request says so, and taken apart when the handler
-- asked for that.
local core = require "tornado.core"
local errors = require "tornado.web.errors"
local gen = require "tornado.gen"
local httpserver = require "tornado.httpserver"
local HTTPInputError = require("tornado.httputil.errors").HTTPInputError
local MultipartStream = require "tornado.httputil.multipart_stream"
local RequestHandler = require "tornado.web.handler"

local HTTPError = errors.HTTPError

RequestHandler._multipart = false

local function max_body_size(self)
    return self.max_body_size or self.settings.max_body_size or
        httpserver.option_of(self.request, "max_body_size") or httpserver.max_body_size
end

local function too_large(self)
    error(HTTPError(413, "body larger than %d bytes", max_body_size(self)), 0)
end

-- Decompression ------------------------------------------------------------------------

local GZIP = { gzip = true, ["x-gzip"] = true } -- RFC 9110 §8.4.1.3

-- Gives the request a decoder if its body is gzip; the header's name then says that it was.
local function begin_decoding(self, request)
    local wanted = self.settings.decompress_request
    if wanted == nil then wanted = httpserver.option_of(request, "decompress_request") end
    if not wanted then return false end
    local coding = core.request_field(request.handle, "Content-Encoding")
    if not coding or not GZIP[coding:lower()] then return false end
    local headers = request.headers:all()
    headers:remove("Content-Encoding")
    headers:add("X-Consumed-Content-Encoding", coding)
    request.decoded = true
    core.decoder(request.handle)
    return true
end

-- Calls fn(self, piece) for each decoded piece of `text`; `size` bytes were decoded before.
-- Returns how many are now. The limit is on what comes out.
local function decode(self, text, size, fn)
    local at, max = 0, max_body_size(self)
    while not self._finished do
        local piece
        piece, at = core.decode(self.request.handle, text, at)
        if not piece then error(HTTPInputError("corrupt gzip body"), 0) end
        if piece == "" then break end
        size = size + #piece
        if size > max then error(HTTPInputError("decompressed body too large"), 0) end
        fn(self, piece)
    end
    return size
end

local function end_decoding(request)
    if not core.decode_end(request.handle) then
        error(HTTPInputError("the gzip body is cut off"), 0)
    end
end

-- Collected ----------------------------------------------------------------------------

local function decode_whole(self, request)
    local pieces = {}
    decode(self, core.body_get(request.handle) or "", 0, function(_, piece)
        pieces[#pieces + 1] = piece
    end)
    end_decoding(request)
    request.body = table.concat(pieces)
end

--- Waits for the whole body; false when the client has left. Raises for one that is too large,
-- and for a malformed multipart form.
function RequestHandler:_collect(request)
    local status = request:collect_body(max_body_size(self))
    if status == core.LIMIT then too_large(self) end
    if status ~= core.OK then return false end
    if begin_decoding(self, request) then decode_whole(self, request) end
    request:check_form()
    return true
end

-- Streamed -----------------------------------------------------------------------------

local function receive(self, piece)
    local result = self:data_received(piece)
    if result ~= nil then gen.await(result) end
end

-- The body is complete.
local function complete(self, request, decoding)
    if decoding then end_decoding(request) end
    if self._multipart then self._multipart:finish() end
    return true
end

--- Gives the body to data_received() piece by piece; false when the client has left.
function RequestHandler:_stream(request)
    local decoding, size = begin_decoding(self, request), 0
    while not self._finished do
        local piece, status = request:read_body(max_body_size(self))
        if status == core.LIMIT then too_large(self) end
        if not piece then
            return status == core.EOF and complete(self, request, decoding)
        end
        if decoding then
            size = decode(self, piece, size, receive)
        else
            receive(self, piece)
        end
    end
    return false
end

--- Gets each piece of a body that is streamed (see web.stream_request_body). By default, gives it
-- to the form that multipart() made.
function RequestHandler:data_received(piece)
    if not self._multipart then
        error(tostring(self.class) .. " must implement data_received(chunk)", 2)
    end
    self._multipart:feed(piece)
end

--- In prepare() of a handler with a streamed body: takes the body apart as multipart/form-data.
-- Options as for httputil.MultipartStream, which is returned. Raises 400 for another type.
function RequestHandler:multipart(options)
    if not self._stream_request_body then
        error("multipart() is for streamed bodies: see web.stream_request_body", 2)
    end
    local content_type = self.request.headers:get("Content-Type", "")
    self._multipart = MultipartStream(content_type, options)
    return self._multipart
end

return RequestHandler
