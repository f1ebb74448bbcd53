-- The transform of the setting compress_response: gzip or brotli, as the client prefers.
-- Tornado: gzip only, by "gzip" anywhere in Accept-Encoding; also of 206, and with a strong Etag.
local core = require "tornado.core"
local OutputTransform = require("tornado.web.transforms").OutputTransform

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

local GZipContentEncoding = OutputTransform:extend "GZipContentEncoding"

--- 1 (fast) to 9 (small), of gzip; 0 to 11, of brotli.
GZipContentEncoding.GZIP_LEVEL = 6
GZipContentEncoding.BROTLI_LEVEL = 5
--- Bytes below which a reply that is known whole stays as it is.
GZipContentEncoding.MIN_LENGTH = 1024

--- Types that are worth it, beside all of text/.
GZipContentEncoding.CONTENT_TYPES = {
    ["application/javascript"] = true,
    ["application/x-javascript"] = true,
    ["application/xml"] = true,
    ["application/atom+xml"] = true,
    ["application/json"] = true,
    ["application/xhtml+xml"] = true,
    ["image/svg+xml"] = true,
}

-- Negotiation (RFC 9110 §12.5.3) -----------------------------------------------------------

-- The weight in " ;q=0.5"; nil for what is none.
local function weight(text)
    if not find(text, "[^ \t]") then return 1 end
    local q = match(text, "^[ \t]*;[ \t]*[qQ]=([01]%.?%d*)[ \t]*$")
    q = tonumber(q)
    return q and q <= 1 and q or nil
end

local function weights(header)
    local found = {}
    for element in header:gmatch("[^,]+") do
        local name, rest = match(element, "^[ \t]*([^ \t;]+)(.*)$")
        local q = name and weight(rest)
        if q then
            name = name:lower()
            found[name == "x-gzip" and "gzip" or name] = q
        end
    end
    return found
end

-- "br", "gzip" or false, for an Accept-Encoding.
local function choose(header)
    local found = weights(header)
    local any = found["*"] or 0
    local br, gzip = found.br or any, found.gzip or any
    local best = br >= gzip and br or gzip
    if best <= 0 or (found.identity or 0) > best then return false end
    return br >= gzip and "br" or "gzip"
end

local MEMO_SIZE, MEMO_LENGTH = 256, 256
local memo, memo_count = {}, 0

local function negotiate(header)
    if not header then return false end
    local chosen = memo[header]
    if chosen ~= nil then return chosen end
    chosen = choose(header)
    if #header <= MEMO_LENGTH and memo_count < MEMO_SIZE then
        memo[header], memo_count = chosen, memo_count + 1
    end
    return chosen
end

-- The transform ----------------------------------------------------------------------------

--- Made for a reply.
function GZipContentEncoding:init(request, handler)
    self.request, self.handler = request, handler
    self.coding = negotiate(request.headers:get("Accept-Encoding"))
end

-- Replies with and without a coding are one resource's.
local function add_vary(headers)
    local list = headers:get_list("Vary")
    local text = table.concat(list, ",")
    local lower = text:lower()
    for name in lower:gmatch("[^, \t]+") do
        if name == "*" or name == "accept-encoding" then return end
    end
    headers:set("Vary", text == "" and "Accept-Encoding" or text .. ", Accept-Encoding")
end

-- What a strong Etag names has other bytes now (RFC 9110 §8.8.3.3).
local function weaken(headers)
    local etag = headers:get("Etag")
    if etag and byte(etag, 1) == 34 then headers:set("Etag", "W/" .. etag) end
end

--- Whether a Content-Type is worth compressing.
function GZipContentEncoding:is_compressible(content_type)
    local kind = match(content_type, "^[^; \t]*")
    return sub(kind, 1, 5) == "text/" or self.CONTENT_TYPES[kind] or false
end

local function may_transform(headers)
    local control = headers:get("Cache-Control")
    return not (control and find(control:lower(), "no-transform", 1, true))
end

--- Whether a reply is to be compressed; gets what transform_first_chunk() does.
function GZipContentEncoding:wants(status, headers, chunk, finishing)
    if not self.coding or status < 200 or status == 204 or status == 206 then return false end
    if finishing and #chunk < self.MIN_LENGTH then return false end
    if headers:get("Content-Encoding") or headers:get("Content-Range") then return false end
    return may_transform(headers) and self:is_compressible(headers:get("Content-Type") or "")
end

-- Whether the reply that a 304 stands for would have been compressed; one that is not known would.
local function would_want(self, headers)
    local unsent = self.handler and self.handler._unsent
    if not self.coding or not may_transform(headers) then return false end
    return not unsent or not unsent.coding and unsent.size >= self.MIN_LENGTH and
        self:is_compressible(unsent.type)
end

function GZipContentEncoding:transform_first_chunk(status, headers, chunk, finishing)
    add_vary(headers)
    -- A 304 has the Etag that the reply would have had (RFC 9110 §15.4.5).
    if status == 304 then
        if would_want(self, headers) then weaken(headers) end
        self.coding = false
    elseif self:wants(status, headers, chunk, finishing) then
        local brotli = self.coding == "br"
        core.encoder(self.request.handle, brotli and core.BROTLI or core.GZIP,
            brotli and self.BROTLI_LEVEL or self.GZIP_LEVEL)
        headers:set("Content-Encoding", self.coding)
        headers:remove("Content-Length")
        weaken(headers)
        chunk = self:transform_chunk(chunk, finishing)
    else
        self.coding = false
    end
    return status, headers, chunk
end

function GZipContentEncoding:transform_chunk(chunk, finishing)
    if not self.coding then return chunk end
    return (core.encode(self.request.handle, chunk,
        finishing and core.ENCODE_FINISH or core.ENCODE_FLUSH))
end

return GZipContentEncoding
