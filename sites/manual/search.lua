-- The search: which sections have all words of a query, and the best of them.
local MOST, WORDS, AROUND = 30, 8, 90

local search = {}

--- Adds the sections of a page to a list that find() takes.
function search.add(sections, page)
    for _, section in ipairs(page.document.sections) do
        sections[#sections + 1] = {
            name = page.name, where = page.title, id = section.id, title = section.title,
            text = section.text, low_title = section.title:lower(), low = section.text:lower(),
        }
    end
end

local function words_of(query)
    local words = {}
    for word in query:lower():gmatch("[%w_.:-]+") do
        if #words < WORDS then words[#words + 1] = word end
    end
    return words
end

-- How well a section fits: nil when it lacks a word. A title weighs more than a text, and a title
-- that is the word itself most.
local function score(section, words)
    local sum = 0
    for _, word in ipairs(words) do
        local in_title = section.low_title:find(word, 1, true)
        local in_text = section.low:find(word, 1, true)
        if not in_title and not in_text then return nil end
        if in_title then sum = sum + 10 + 20 * #word / #section.low_title end
        if in_text then sum = sum + 1 + 1 / (1 + in_text / 200) end
    end
    return sum
end

-- What stands around a place, cut at spaces: UTF-8 stays whole.
local function around(text, at)
    local first, last = math.max(1, at - AROUND), math.min(#text, at + AROUND)
    if first > 1 then first = (text:find(" ", first, true) or first) + 1 end
    if last < #text then last = (text:find(" ", last, true) or #text + 1) - 1 end
    return (first > 1 and "… " or "") .. text:sub(first, last) .. (last < #text and " …" or "")
end

--- The sections that fit a query, best first: { name =, where =, id =, title =, text = }.
function search.find(sections, query)
    local words, found = words_of(query), {}
    for i, section in ipairs(sections) do
        local points = score(section, words)
        if points then found[#found + 1] = { section = section, points = points, i = i } end
    end
    table.sort(found, function(a, b)
        if a.points ~= b.points then return a.points > b.points end
        return a.i < b.i
    end)
    local hits = {}
    for i = 1, math.min(#found, MOST) do
        local section = found[i].section
        local at = section.low:find(words[1], 1, true) or 1
        hits[i] = {
            name = section.name, where = section.where, id = section.id, title = section.title,
            text = around(section.text, at),
        }
    end
    return hits
end

return search
