-- A flame graph as one SVG file that needs nothing else: each box is a function, on top of the one
-- that called it, as wide as its share of the samples. Its script zooms into a box that is
-- clicked, and finds functions by name; without scripts it is a picture with titles.
local script = require "tornado.profile.flamegraph_script"

local WIDTH, ROW, TOP, SIDE, BOTTOM = 1200, 19, 76, 12, 34
local CHAR = 6.6          -- pixels of a letter
local LEAST = 0.0002      -- of the whole: what is thinner is left out

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

-- Text for XML, which has no control characters and nothing that is no UTF-8.
local function xml(text)
    text = text:gsub("[%z\1-\31\127]", "?")
    if text:find("[\128-\255]") and not require("tornado.core").is_utf8(text) then
        text = text:gsub("[\128-\255]", "?")
    end
    return (text:gsub('[&<>"]', ENTITIES))
end

-- The hue says whose code it is; a hash of the name sets neighbours apart.
local FAMILIES = {
    { "^%[GC%]$", "g" }, { "^%[JIT%]$", "j" }, { "%[C%]$", "c" },
    { " tornado/[%w_/]+%.lua:%d+$", "t" },
}

local function class_of(label)
    if label == "all" then return "a" end
    local hash = 0
    for i = 1, #label do hash = (hash * 31 + label:byte(i)) % 65521 end
    for _, family in ipairs(FAMILIES) do
        if label:find(family[1]) then return family[2] .. hash % 3 end
    end
    return "s" .. hash % 5
end

local function fit(label, width)
    local room = math.floor((width - 6) / CHAR)
    if room < 3 then return "" end
    return #label <= room and label or label:sub(1, room - 2) .. ".."
end

local BOX = '<g class="f %s" data-x="%d" data-w="%d"><title>%s</title>' ..
    '<rect x="%.2f" y="%d" width="%.2f" height="%d" rx="2"/>' ..
    '<text x="%.2f" y="%d">%s</text></g>'

local function add(out, node, x, level, depth, root)
    local scale = (WIDTH - 2 * SIDE) / root.total
    local left, width = SIDE + x * scale, node.total * scale
    local y = TOP + (depth - level) * ROW
    local share = 100 * node.total / root.total
    local title = ("%s - %d samples, %.1f %%"):format(node.label, node.total, share)
    if node.own > 0 and node.own < node.total then
        title = title .. (" (%.1f %% in itself)"):format(100 * node.own / root.total)
    end
    out[#out + 1] = BOX:format(class_of(node.label), x, node.total, xml(title), left, y,
        math.max(width - 0.6, 0.2), ROW - 1, left + 4, y + 13, xml(fit(node.label, width)))
    for _, child in ipairs(node.children) do
        if child.total / root.total >= LEAST then add(out, child, x, level + 1, depth, root) end
        x = x + child.total
    end
end

local function depth_of(node, root)
    local deepest = 0
    for _, child in ipairs(node.children) do
        if child.total / root.total >= LEAST then
            deepest = math.max(deepest, 1 + depth_of(child, root))
        end
    end
    return deepest
end

local HEAD = [==[
<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" data-side="%d">
<style><![CDATA[%s]]></style>
<rect class="page" width="100%%" height="100%%"/>
<text class="title" x="%d" y="30">%s</text>
<text class="sub" x="%d" y="50">%s</text>
<text class="link" id="reset" x="%d" y="30" visibility="hidden">Whole graph</text>
<text class="link" id="search" x="%d" y="30">Search</text>
<g id="graph">
]==]

local FOOT = '</g>\n<text class="sub" id="detail" x="%d" y="%d">' ..
    "Click a box to zoom, Escape to leave; Ctrl-F or / to search.</text>\n" ..
    '<text class="sub" id="found" x="%d" y="%d"> </text>'

--- Returns the SVG of a tree of calls (see profile/stacks.lua) that has samples; with a title and a
-- line of text below it.
return function(root, title, subtitle)
    local depth = depth_of(root, root)
    local height = TOP + (depth + 1) * ROW + BOTTOM
    local out = {
        HEAD:format(WIDTH, height, WIDTH, height, SIDE, script.STYLE, SIDE, xml(title), SIDE,
            xml(subtitle), WIDTH - SIDE - 70, WIDTH - SIDE),
    }
    add(out, root, 0, 0, depth, root)
    out[#out + 1] = FOOT:format(SIDE, height - 12, WIDTH - SIDE, height - 12)
    out[#out + 1] = "<script><![CDATA[" .. script.SCRIPT .. "]]></script>\n</svg>\n"
    return table.concat(out, "\n")
end
