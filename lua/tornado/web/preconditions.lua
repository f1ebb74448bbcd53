-- If-Match and If-Unmodified-Since, for files: who goes on with a download, or has a part of a
-- file, wants no bytes of another one (RFC 9110 §13.1.1, §13.1.4).
local core = require "tornado.core"
local errors = require "tornado.web.errors"

local preconditions = {}

-- Whether the list of If-Match has the tag, compared strongly.
local function has_strong(tags, etag)
    if tags:find("^%s*%*") then return true end
    for weak, tag in tags:gmatch('(W?/?)("[^"]*")') do
        if weak == "" and tag == etag then return true end
    end
    return false
end

--- Raises 412 when the client wants the file of a handler, whose headers are set, only as another
--- one than it is now. If-Match alone decides when it is there.
-- Tornado: looks at neither.
function preconditions.check(handler)
    local headers = handler.request.headers
    local tags = headers:get("If-Match")
    local since = not tags and headers:get("If-Unmodified-Since")
    since = since and core.http_date_parse(since)
    local modified = handler.modified
    if tags and not has_strong(tags, handler:get_header("Etag")) or
        since and modified and modified > since then
        error(errors.HTTPError(412), 0)
    end
end

return preconditions
