-- GzipDecompressor, for gzip that comes in pieces. util.lua loads it, and gives it its classes.
local core = require "tornado.core"

local GZIP_ERROR = "corrupt gzip data"

return function(util)
    local GzipDecompressor = util.Object:extend "GzipDecompressor"

    --- Raised for data that is corrupt, or cut off.
    GzipDecompressor.Error = util.Error:extend "GzipError"
    local Error = GzipDecompressor.Error

    --- `unconsumed_tail` is what decompress() has left of its input.
    function GzipDecompressor:init()
        self._z = core.gunzip()
        self.unconsumed_tail = ""
    end

    --- Takes a piece of gzip and returns what it decodes to, at most `max_length` bytes (nil or 0:
    --- all); then unconsumed_tail has the rest of the piece, to be given again. Raises Error.
    function GzipDecompressor:decompress(data, max_length)
        if type(data) ~= "string" then
            error("bad data: expected string, got " .. type(data), 2)
        end
        local pieces, at = {}, 0
        local left = max_length and max_length > 0 and max_length or math.huge
        while left > 0 do
            local piece, behind = core.gunzip_run(self._z, data, at, math.min(left, 65536))
            if not piece then error(Error(GZIP_ERROR), 0) end
            at = behind
            if piece == "" then break end
            pieces[#pieces + 1] = piece
            left = left - #piece
        end
        self.unconsumed_tail = data:sub(at + 1)
        return table.concat(pieces)
    end

    --- Returns what is still to come. Raises Error when the data is cut off.
    -- Tornado: says that it looks for cut off data, and does not.
    function GzipDecompressor:flush()
        local rest = self:decompress(self.unconsumed_tail)
        if not core.gunzip_end(self._z) then error(Error("the gzip data is cut off"), 0) end
        return rest
    end

    return GzipDecompressor
end
