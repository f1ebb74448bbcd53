-- What the client would rather read: pages for people, or text and JSON for programs.
local accept = {}

-- type -> its quality, of an Accept field.
local function qualities(field)
    local found = {}
    for part in field:sub(1, 1024):gmatch("[^,]+") do
        local name, rest = part:match("^%s*([^;%s]+)(.*)$")
        local q = rest and rest:match(";%s*[qQ]=([%d.]+)")
        if name then found[name:lower()] = q and tonumber(q) or 1 end
    end
    return found
end

--- Returns whether the client of a request names HTML, and nothing else with more weight. "*/*"
-- alone, as of curl, is no wish for HTML.
function accept.prefers_html(request)
    local field = request.headers:get("Accept")
    if not field or not field:find("html", 1, true) then return false end
    local found = qualities(field)
    local html = found["text/html"] or found["application/xhtml+xml"] or 0
    return html > 0 and html >= (found["application/json"] or 0) and
        html >= (found["text/plain"] or 0)
end

return accept
