-- A profile as it came from the worker (see profile/sampler.lua), made into a tree of calls, into
-- lines for other tools, and into a list of the functions that cost most.
local stacks = {}

local function child_of(node, label)
    local child = node.children[label]
    if child then return child end
    child = { label = label, total = 0, own = 0, children = {} }
    node.children[label] = child
    return child
end

-- Totals from the leaves up, and children in the order of their names.
local function finish(node)
    node.total = node.own
    local list = {}
    for _, child in pairs(node.children) do
        finish(child)
        if child.total > 0 then
            node.total = node.total + child.total
            list[#list + 1] = child
        end
    end
    table.sort(list, function(a, b) return a.label < b.label end)
    node.children = list
end

--- The tree of calls: { label, total, own, children = a list of the same }, in samples. Its root is
-- labelled "all".
function stacks.tree(profile)
    local frames, list = profile.frames, profile.nodes
    local root = { label = "all", own = list[3] or 0, children = {} }
    local made = { [0] = root }
    for i = 1, #list / 3 - 1 do -- a parent comes before its children
        local parent, frame, count = list[3 * i + 1], list[3 * i + 2], list[3 * i + 3]
        made[i] = child_of(made[parent], frames[frame + 1])
        made[i].own = made[i].own + count
    end
    finish(root)
    return root
end

local function write(node, path, lines)
    if node.own > 0 then lines[#lines + 1] = path .. " " .. node.own end
    for _, child in ipairs(node.children) do
        local name = child.label:gsub("[;%c]", ",")
        write(child, path == "" and name or path .. ";" .. name, lines)
    end
end

--- A tree as lines "outermost;...;innermost COUNT", which flame graph tools take.
function stacks.collapsed(root)
    local lines = {}
    for _, child in ipairs(root.children) do
        write(child, (child.label:gsub("[;%c]", ",")), lines)
    end
    lines[#lines + 1] = ""
    return table.concat(lines, "\n")
end

-- Adds a function's samples, once for a stack that it is in several times.
local function count(node, totals, above)
    local entry = totals[node.label] or { label = node.label, own = 0, total = 0 }
    totals[node.label] = entry
    entry.own = entry.own + node.own
    if not above[node.label] then entry.total = entry.total + node.total end
    above[node.label] = (above[node.label] or 0) + 1
    for _, child in ipairs(node.children) do count(child, totals, above) end
    above[node.label] = above[node.label] > 1 and above[node.label] - 1 or nil
end

--- The `n` functions with the most samples of their own, first the highest: { label, own, total }.
function stacks.top(root, n)
    local totals, list = {}, {}
    for _, child in ipairs(root.children) do count(child, totals, {}) end
    for _, entry in pairs(totals) do
        if entry.own > 0 then list[#list + 1] = entry end
    end
    table.sort(list, function(a, b)
        if a.own ~= b.own then return a.own > b.own end
        return a.label < b.label
    end)
    for i = n + 1, #list do list[i] = nil end
    return list
end

return stacks
