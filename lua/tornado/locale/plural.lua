-- The rule of a gettext catalogue that says which plural form a number takes: an expression
-- of C in `n`. It comes from a file, so it is parsed into closures, and never run as code.
local plural = {}

local MAX_LENGTH, MAX_DEPTH = 1000, 20

local function truth(flag) return flag and 1 or 0 end

-- By strength, weakest first. && and || need not look at both sides, but may: there are no
-- side effects, and what C leaves undefined (n % 0) is 0 here.
local LEVELS = {
    { ["||"] = function(a, b) return truth(a ~= 0 or b ~= 0) end },
    { ["&&"] = function(a, b) return truth(a ~= 0 and b ~= 0) end },
    { ["=="] = function(a, b) return truth(a == b) end,
      ["!="] = function(a, b) return truth(a ~= b) end },
    { ["<"] = function(a, b) return truth(a < b) end,
      [">"] = function(a, b) return truth(a > b) end,
      ["<="] = function(a, b) return truth(a <= b) end,
      [">="] = function(a, b) return truth(a >= b) end },
    { ["+"] = function(a, b) return a + b end,
      ["-"] = function(a, b) return a - b end },
    { ["*"] = function(a, b) return a * b end,
      ["/"] = function(a, b) return b == 0 and 0 or math.floor(a / b) end,
      ["%"] = function(a, b) return b == 0 and 0 or a % b end },
}

local OPERATORS = {}
for _, level in ipairs(LEVELS) do
    for name in pairs(level) do OPERATORS[name] = true end
end

local function fail(text)
    error({ why = text }, 0)
end

-- Splits into numbers, n, operators and brackets.
local function tokens_of(text)
    local tokens, at = { at = 1, depth = 0 }, 1
    while true do
        at = text:find("%S", at)
        if not at then return tokens end
        local two = text:sub(at, at + 1)
        local token = text:match("^%d+", at) or OPERATORS[two] and two or text:sub(at, at)
        if not token:find("^%d") and not OPERATORS[token] and not token:find("^[n!?:()]$") then
            fail("unexpected " .. token)
        end
        tokens[#tokens + 1] = token
        at = at + #token
    end
end

local function take(tokens)
    local token = tokens[tokens.at]
    tokens.at = tokens.at + 1
    return token
end

local function expect(tokens, wanted)
    local token = take(tokens)
    if token ~= wanted then fail(("expected %s, got %s"):format(wanted, token or "the end")) end
end

local conditional

local function deeper(tokens)
    tokens.depth = tokens.depth + 1
    if tokens.depth > MAX_DEPTH then fail("too deeply nested") end
end

local function unary(tokens)
    local token = take(tokens)
    if token == "n" then return function(n) return n end end
    local value = tonumber(token)
    if value then return function() return value end end
    deeper(tokens)
    local operand
    if token == "!" then
        local inner = unary(tokens)
        operand = function(n) return truth(inner(n) == 0) end
    elseif token == "(" then
        operand = conditional(tokens)
        expect(tokens, ")")
    else
        fail("unexpected " .. (token or "end"))
    end
    tokens.depth = tokens.depth - 1
    return operand
end

local function binary(tokens, level)
    if not LEVELS[level] then return unary(tokens) end
    local left = binary(tokens, level + 1)
    while true do
        local apply = LEVELS[level][tokens[tokens.at]]
        if not apply then return left end
        take(tokens)
        local a, b = left, binary(tokens, level + 1)
        left = function(n) return apply(a(n), b(n)) end
    end
end

function conditional(tokens)
    local test = binary(tokens, 1)
    if tokens[tokens.at] ~= "?" then return test end
    take(tokens)
    deeper(tokens)
    local yes = conditional(tokens)
    expect(tokens, ":")
    local no = conditional(tokens)
    tokens.depth = tokens.depth - 1
    return function(n)
        if test(n) ~= 0 then return yes(n) end
        return no(n)
    end
end

--- Compiles an expression to a function(n) that returns a number from 0 on; nil and what is
-- wrong with it.
function plural.compile(text)
    if #text > MAX_LENGTH then return nil, "longer than 1000 bytes" end
    local ok, result = pcall(function()
        local tokens = tokens_of(text)
        local compiled = conditional(tokens)
        if tokens[tokens.at] then fail("unexpected " .. tokens[tokens.at]) end
        return compiled
    end)
    if ok then return result end
    return nil, type(result) == "table" and result.why or tostring(result)
end

--- That of a catalogue which has none, as in English and German.
function plural.germanic(n)
    return n == 1 and 0 or 1
end

return plural
