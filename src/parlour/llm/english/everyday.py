"""Everyday English: verbs, adjectives and measures of which any question may be made, whatever it is about.

Where a document does not have one of these words, it can still be about the same thing. A noun that it does
not have is another matter.
"""

_WORDS = """
    able accept accidentally achieve active actual additional adjust advanced advise affect afternoon
    afterwards agree ahead allow alone along alternative amazing amount annoy annoying anybody anymore
    anyone appear apply approach appropriate approximately april arrange asap aside ask assume assure
    attempt august available average avoid aware awesome awful bad base basic beat behave believe belong
    benefit bigger biggest bit boss bother brand brief briefly brilliant bring broken btw buddy build busy
    calm care careful carefully cause cheap cheaper cheapest cheers claim clear click close closed coming
    common compare complain complete complex complicated concern concerned confuse confused confusing
    consider consist constant contain continue convenient correct count couple cover crazy create curious
    current custom daily damn day days deal dear december decent decide deep define delay depend describe
    desire detail detailed determine develop differ difference different difficult direct disappear discover
    discuss double doubt dozen drop dude dumb dunno during each eager early earn ease effect effective
    effort eight eleven else enable encounter end endless enjoy ensure entire equal essential evening
    everybody everyone exact example excellent except exist existing expect expected expensive experience
    explain explicit express extra extremely face fail fair fairly fall familiar fancy fashion fast fault
    favourite february feed feel few fifty fill final find fine finish first fit five fix fixed focus folks
    follow force forever form formal former forty forward found four fourth free frequent frequently fresh
    friday friendly full fun funny further fyi gather gentle gimme glad gone gonna gotta graceful gracefully
    grand grateful guess guy guys half handle handy hate hear heavy helpful hint hit hmm hold hope hopefully
    hour hours huge huh hundred idea ideal identical ignore imagine immediate imo important impossible
    improve include incoming increase individual inform initial inside insist instant instruct intend
    intended interest interested interesting internal intro introduce involve issue item january job july
    june keen key kinda kindly lack large latest lead learn leave left lemme length let level likely limited
    link list listen live locate lol long longer longest loose lots love lovely low lower madam main mainly
    major manage manner manually march mate matter maximum mean meaning measure mention mere merely messy
    method midnight million mind minimal minimum minor minute minutes miss missing mistake mistakenly mix
    modern moment monday month monthly months morning move multiple must neat necessary need nice night
    nightly nine nobody noon nope notice november number obtain obvious occasionally occur october odd offer
    once one ongoing oops opposite optional ordinary original outdated overall own painful pass past patient
    perfect perform permanent permanently plain plan pleasant please pleased plenty pls plus plz poor
    popular possibility possible potential practical precise prefer prepare present press prevent previous
    previously primary prior proceed produce proper prove provide pull purpose push quality quarter question
    quick quicker quickest quiet raise random range rare rate raw reach react real realise realize reason
    reasonable receive recommend recommended reduce refer regard regular regularly relate related release
    rely remain remark remember remind report represent require respect respective result return reveal rid
    rough roughly round rubbish rule safe satisfied saturday scenario scratch second seconds seem select
    sense sensible separate september serious seriously serve set settle seven several share short show
    shown silly similar simple simplest single sir situation six sixty slight small smart smooth sole
    solution solve somebody sort sorta special specific specify spend spot stable stage stand standard state
    step steps stick stop straight strange strict strong stuff stupid succeed success successful suggest
    suit suitable sunday supply support suppose surprise surprised switch task tedious temporary ten
    terrible test third thirty thorough thousand three thrice thursday thx tidy tiny tip tiring together
    tonight top topic total touch treat tricky trigger trivial trouble true trust tuesday turn twelve twenty
    twice two typical ugh ugly unable unclear understand undesired unexpected unfortunate unhappy unique
    unnecessary unusual unwanted upcoming urgent usage used useful useless user usual valid value various
    vast version view visible visit wait wanna wanted warn waste watch way weak wednesday week weekend
    weekly weeks weird welcome whole wide willing wise wish wonderful word worried worry worse worst worth
    wrong yeah year years yep zero
"""

EVERYDAY = frozenset(_WORDS.split())
