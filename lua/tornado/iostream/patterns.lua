-- Compiled patterns for reading, by their text. The cache is emptied when it is full, so a waiting
-- read asks for its pattern each time.
local core = require "tornado.core"

local patterns = {}

local MAX = 256

local compiled, count = {}, 0

--- The compiled pattern of a text, or nil and why not.
function patterns.get(text)
    local regex = compiled[text]
    if regex then return regex end
    local why
    regex, why = core.regex_search(text)
    if not regex then return nil, why end
    if count == MAX then
        for _, old in pairs(compiled) do core.regex_free(old) end
        compiled, count = {}, 0
    end
    compiled[text] = regex
    count = count + 1
    return regex
end

return patterns
